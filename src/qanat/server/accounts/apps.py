"""Django's handle on the accounts."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users and groups are Django's; who they are at an identity provider, and what failed to log in, is ours."""

    name = "qanat.server.accounts"
    label = "accounts"
