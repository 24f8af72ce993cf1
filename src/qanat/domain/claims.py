"""What an identity provider's claims make of somebody here (wire contract, section 1.2, "OIDC mode details")."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

ADMIN_GROUP: Final = "admin"
LONGEST_NAME: Final = 150
"""Of users and groups, in the database."""


class ClaimsRefused(Exception):
    """Nobody here follows from these claims; the message says what is missing, and where to add it."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody as the provider knows them."""

    subject: str
    username: str
    groups: frozenset[str]
    is_admin: bool
    """Staff and superuser at once."""


def is_complete(claims: Mapping[str, Any]) -> bool:
    """Return whether the claims say who this is, so that nobody else need be asked."""
    return is_service_account(claims) or ("preferred_username" in claims and "groups" in claims)


def is_service_account(claims: Mapping[str, Any]) -> bool:
    """Return whether a programme rather than a person has logged in; the provider says so by a claim of its own."""
    said = claims.get("is_service_account")
    return said is True or said == "true"


def person_of(claims: Mapping[str, Any]) -> Person:
    """Return who the claims are about.

    Raises:
        ClaimsRefused: they name no user, or no group of a user who is no service account.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        message = "The token has no subject (claim 'sub')."
        raise ClaimsRefused(message)
    service = is_service_account(claims)
    groups = _groups(claims.get("groups") or [])
    if not groups and not service:
        message = (
            "Your account belongs to no group at the identity provider (claim 'groups'): ask its administrator to add "
            "you to one, and to map groups into tokens."
        )
        raise ClaimsRefused(message)
    return Person(
        subject=subject,
        username=_username(claims.get("preferred_username") or (f"svc-{subject}" if service else None)),
        groups=groups,
        is_admin=service or ADMIN_GROUP in groups,
    )


def _username(name: object) -> str:
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        message = (
            f"The token names no user of at most {LONGEST_NAME} characters (claim 'preferred_username'): have the "
            "identity provider map it into tokens (scope 'profile')."
        )
        raise ClaimsRefused(message)
    return name


def _groups(names: object) -> frozenset[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        message = "The claim 'groups' must be a list of names."
        raise ClaimsRefused(message)
    stripped = frozenset(name.removeprefix("/") for name in names) - {""}
    if too_long := [name for name in stripped if len(name) > LONGEST_NAME]:
        message = f"The name of the group '{too_long[0]}' is longer than {LONGEST_NAME} characters."
        raise ClaimsRefused(message)
    return stripped


def renamed(username: str, *, subject: str) -> str:
    """Return what a user is called whose name somebody else has at the provider: the new owner's subject is added."""
    ending = f"-{subject}"[:LONGEST_NAME]
    return username[: LONGEST_NAME - len(ending)] + ending
