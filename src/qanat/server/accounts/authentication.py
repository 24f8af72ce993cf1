"""How users prove who they are, in HTTP and on the websocket; and what becomes of a view that says nothing of who may.

A refusal is 403, as clients expect everywhere but on the token endpoints. ``rest_framework.views`` reads these classes,
so they cannot import it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

from django.contrib.auth.models import User
from rest_framework.authentication import BasicAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed, InvalidToken


class Basic(BasicAuthentication):
    """User name and password; without a challenge, so that the answer to a failure is 403."""

    def authenticate_header(self, request: Request) -> None:
        """Offer no challenge."""
        del request


class Bearer(JWTAuthentication):
    """An access token; without a challenge, as above."""

    def authenticate_header(self, request: Request) -> None:  # type: ignore[override]
        """Offer no challenge."""
        del request


class Undeclared(BasePermission):
    """The framework's default: nobody may call a view that says nothing of who may (``api/common/policy.py``)."""

    def has_permission(self, request: Request, view: object) -> bool:
        """Refuse."""
        del request, view
        return False


@dataclass(frozen=True, kw_only=True)
class Proved:
    """Who has proved to be who, and until when that holds, in seconds since the epoch."""

    user: User
    until: float


def proved_by(authorization: bytes) -> Proved | None:
    """Return whose access token an ``Authorization`` header has, as they are now; None where it is good no longer."""
    scheme, _, token = authorization.decode(errors="replace").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return None
    bearer = Bearer()
    try:
        valid = bearer.get_validated_token(token.encode())
        user = bearer.get_user(valid)
    except (InvalidToken, AuthenticationFailed):
        return None
    return Proved(user=cast("User", user), until=valid["exp"])


def still_there(users: Collection[int]) -> dict[int, User]:
    """Return the users with these ids as they are now, with the groups of now; without those who are switched off."""
    return {user.pk: user for user in User.objects.filter(pk__in=users, is_active=True).prefetch_related("groups")}
