"""How passwords are kept: by Argon2id, which needs memory as well as time (docs/decisions/0018-cheap-requests.md)."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2id(Argon2PasswordHasher):
    """Django's, within the limits that OWASP's Password Storage Cheat Sheet names first: 19 MiB, two passes, one lane.

    Django's own need 100 MiB for each log-in that is looked at.
    """

    memory_cost = 19 * 1024
    time_cost = 2
    parallelism = 1
