"""How users prove who they are, in HTTP and on the websocket; and what becomes of a view that says nothing of who may.

A refusal is 403, as clients expect everywhere but on the token endpoints. ``rest_framework.views`` reads these classes,
so they cannot import it.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.http.request import split_domain_port, validate_host
from rest_framework.authentication import BaseAuthentication, BasicAuthentication, SessionAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed, InvalidToken
from rest_framework_simplejwt.tokens import Token

from qanat.domain.claims import ClaimsRefused
from qanat.server.accounts.access import users_with_groups
from qanat.server.accounts.identities import user_of_access_token
from qanat.server.accounts.operations import ensure_somebody
from qanat.server.accounts.provider import ProviderRefused, ProviderUnavailable, provider
from qanat.server.accounts.provider_tokens import TokenRefused

Claims = Mapping[str, Any] | Token


class Basic(BasicAuthentication):
    """User name and password; without a challenge, so that the answer to a failure is 403."""

    def authenticate_header(self, request: Request) -> None:
        """Offer no challenge."""
        del request


class UsersWithGroups:
    """The table of users as the library of tokens asks it: a user is read with their groups, in one query."""

    DoesNotExist = User.DoesNotExist

    class objects:  # noqa: N801 - a manager's name
        """Its manager."""

        @staticmethod
        def get(*, id: str) -> User:  # noqa: A002 - the column's name
            """Return a user."""
            found = users_with_groups([int(id)])
            if not found:
                raise User.DoesNotExist
            return found[int(id)]


class Bearer(JWTAuthentication):
    """An access token; without a challenge, as above."""

    def __init__(self) -> None:
        """Ask for users and groups together."""
        super().__init__()
        self.user_model = UsersWithGroups  # type: ignore[assignment] # all of it that is asked

    def authenticate_header(self, request: Request) -> None:  # type: ignore[override]
        """Offer no challenge."""
        del request


class ProviderBearer(BaseAuthentication):
    """An access token of the identity provider."""

    def authenticate(self, request: Request) -> tuple[User, Claims] | None:
        """Return whose it is, and its claims.

        Raises:
            InvalidToken: nobody's who may come in.
            ProviderUnavailable: the provider is needed to tell, and does not answer.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        try:
            user, claims = user_of_access_token(provider(), token)
        except (TokenRefused, ClaimsRefused, ProviderRefused) as error:
            raise _not_valid(str(error)) from error
        if not user.is_active:
            message = "This user has been switched off here."
            raise _not_valid(message)
        return user, claims


class Everybody(BaseAuthentication):
    """Nobody need prove anything: whoever comes is the first administrator, but for pages of other sites."""

    def authenticate(self, request: Request) -> tuple[User, None]:
        """Return the administrator.

        Raises:
            PermissionDenied: a browser sends this for a page that is not ours; its user may know nothing of it.
        """
        if not is_of_this_site(request.headers.get("Origin"), request.get_host()):
            message = "Logging in is disabled on this server, so it takes nothing from pages of other sites."
            raise PermissionDenied(message)
        return ensure_somebody(), None


def ways_in() -> list[type[BaseAuthentication]]:
    """Return how users may prove who they are on this server."""
    if settings.QANAT.api_auth_type == "disabled":
        return [Everybody]
    if settings.QANAT.through_provider:
        return [ProviderBearer, SessionAuthentication]
    return [Basic, Bearer, SessionAuthentication]


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


def proved_by(headers: Mapping[str, str]) -> Proved | None:
    """Return who opens a websocket with these headers (their names in small letters), as they are now; or None."""
    if settings.QANAT.api_auth_type == "disabled":
        host = headers.get("host", "")
        ours = validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)
        welcome = ours and is_of_this_site(headers.get("origin"), host)
        return Proved(user=ensure_somebody(), until=good_until(None)) if welcome else None
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return None
    try:
        user, claims = _of_provider(token) if settings.QANAT.through_provider else _of_ours(token)
    except (
        InvalidToken,
        AuthenticationFailed,
        TokenRefused,
        ClaimsRefused,
        ProviderRefused,
        ProviderUnavailable,
    ):
        return None
    return Proved(user=user, until=good_until(claims)) if user.is_active else None


def good_until(claims: Claims | None) -> float:
    """Return when a token with these claims expires, in seconds since the epoch; what is no token, does not."""
    return math.inf if claims is None else float(claims["exp"])


def is_of_this_site(origin: str | None, host: str) -> bool:
    """Return whether a request comes from a page of this server, or from no page at all."""
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()


def _of_provider(token: str) -> tuple[User, Claims]:
    return user_of_access_token(provider(), token)


def _of_ours(token: str) -> tuple[User, Claims]:
    bearer = Bearer()
    valid = bearer.get_validated_token(token.encode())
    return cast("User", bearer.get_user(valid)), valid


def _not_valid(message: str) -> InvalidToken:
    """Return the refusal of a token in the form that clients know."""
    detail: dict[str, Any] = {
        "detail": message,
        "messages": [{"token_class": "AccessToken", "token_type": "access", "message": message}],
    }
    return InvalidToken(detail)


def still_there(users: Collection[int]) -> dict[int, User]:
    """Return the users with these ids as they are now, with the groups of now; without those who are switched off."""
    return {pk: user for pk, user in users_with_groups(users).items() if user.is_active}
