"""The token endpoints, the only ones to answer 401 (wire contract, section 1.2).

Each way to log in has its own flow; a client that tries one that is off is told so in words that it looks for.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import RefreshToken as Refresh

from qanat.server.accounts.provider import ProviderRefused, provider
from qanat.server.accounts.throttle import address_of, attempt
from qanat.server.api.common.described import TEXT, Json, Operation, record
from qanat.server.api.common.parsers import JSONParser
from qanat.server.api.common.policy import ANYBODY, Endpoint

CHALLENGE: Final = 'Bearer realm="api"'
USER_ID: Final = "user_id"
"""The claim of a token that says whose it is."""
TOKENS: Final[Json] = {
    "type": "object",
    "properties": {
        "access_token": TEXT,
        "refresh_token": {**TEXT, "description": "Not where the identity provider gives none."},
        "token_type": TEXT,
        "expires_in": {"type": "number"},
    },
    "required": ["access_token", "token_type", "expires_in"],
}
DISABLED: Final = "Every log-in flow is disabled on this server: it takes requests without credentials."
NO_PASSWORDS: Final = (
    "The username and password flow is disabled on this server: log in at its identity provider, or send client_id and "
    "client_secret."
)
NO_CLIENTS: Final = "The client credentials flow is disabled on this server: log in with username and password."
REFUSALS: Final = (401, 429, 503)
CREDENTIALS: Final[Json] = {
    "oneOf": [record(username=TEXT, password=TEXT), record(client_id=TEXT, client_secret=TEXT)],
    "description": "The former where users are ours, the latter where they are the identity provider's.",
}
Pair = tuple[str, str]


class TokenView(Endpoint):
    """What they share."""

    policy = ANYBODY

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the framework calls it
        """Let nobody on the way keep tokens."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["Cache-Control"] = "no-store"
        return answer

    def refuse(self, body: Mapping[str, Any]) -> Response:
        """Answer 401 with a challenge."""
        return Response(body, status=status.HTTP_401_UNAUTHORIZED, headers={"WWW-Authenticate": CHALLENGE})

    def of_provider(self, ask: Callable[[], dict[str, Any]], *, account: str = "", secret: str = "") -> Response:
        """Answer with the tokens that ``ask`` gets from the identity provider, within the limits of failures.

        Args:
            ask: gets them.
            account: who asks, where that is known.
            secret: how they prove it.
        """
        address = address_of(self.request)
        tried = attempt(account=account, password=secret, address=address, now=timezone.now())
        try:
            said = ask()
        except ProviderRefused as error:
            tried.failed(now=timezone.now())
            return self.refuse({"Detail": str(error)})
        tried.succeeded(now=timezone.now())
        return Response(said)


class AccessToken(TokenView):
    """``access_token/``."""

    parser_classes = (JSONParser, FormParser, MultiPartParser)

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"post": Operation(takes=CREDENTIALS, gives=TOKENS, refusals=REFUSALS)}

    def post(self, request: Request) -> Response:
        """Exchange user name and password, or id and secret of a client, for tokens."""
        user, client = _pair(request, "username", "password"), _pair(request, "client_id", "client_secret")
        kind = settings.QANAT.api_auth_type
        if kind == "disabled":
            raise ValidationError([DISABLED])
        if settings.QANAT.through_provider:
            if client:
                return self.of_provider(
                    lambda: _client_tokens(*client), account=f"client {client[0]}", secret=client[1]
                )
            if user:
                raise ValidationError([NO_PASSWORDS])
            raise ValidationError(["Send client_id and client_secret."])
        if user:
            return self._of_ours(request, *user)
        if client:
            raise ValidationError([NO_CLIENTS])
        raise ValidationError(["Send username and password."])

    def _of_ours(self, request: Request, username: str, password: str) -> Response:
        user = authenticate(request, username=username, password=password)
        if user is None:
            return self.refuse({"detail": "No active account found with the given credentials"})
        refresh = Refresh.for_user(user)
        return Response({"refresh_token": str(refresh), **_access(refresh)})


class RefreshToken(TokenView):
    """``refresh_token/``."""

    parser_classes = (FormParser,)

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives: the refresh token comes in the header ``Authorization``."""
        return {"post": Operation(gives=TOKENS, refusals=REFUSALS)}

    def post(self, request: Request) -> Response:
        """Exchange a refresh token for new tokens; the old one is good no longer."""
        _ = request.data  # a body of another type is refused here
        if settings.QANAT.api_auth_type == "disabled":
            raise ValidationError([DISABLED])
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given:
            return Response({"Detail": ["Refresh token not found in header"]}, status=status.HTTP_400_BAD_REQUEST)
        if settings.QANAT.through_provider:
            return self.of_provider(
                lambda: tokens_of(provider().token(grant_type="refresh_token", refresh_token=given))
            )
        return self._of_ours(given)

    def _of_ours(self, given: str) -> Response:
        try:
            refresh = Refresh(given)  # type: ignore[arg-type]
            if not User.objects.filter(pk=refresh.get(USER_ID), is_active=True).exists():
                return self.refuse({"detail": "User is inactive or gone", "code": "token_not_valid"})
            refresh.blacklist()
            refresh.set_jti()
            refresh.set_exp()
            refresh.set_iat()
            refresh.outstand()
        except TokenError as error:
            return self.refuse({"detail": str(error), "code": "token_not_valid"})
        return Response({**_access(refresh), "refresh_token": str(refresh)})


def tokens_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the provider's tokens that clients know; the refresh token only if there is one."""
    tokens = {"access_token": said["access_token"], "token_type": "Bearer", "expires_in": said.get("expires_in", 0)}
    return tokens | ({"refresh_token": said["refresh_token"]} if said.get("refresh_token") else {})


def _client_tokens(client: str, secret: str) -> dict[str, Any]:
    return tokens_of(provider().token(client=client, secret=secret, grant_type="client_credentials"))


def _access(refresh: Refresh) -> dict[str, Any]:
    return {
        "access_token": str(refresh.access_token),
        "token_type": "Bearer",
        "expires_in": settings.QANAT.access_token_lifetime.total_seconds(),
    }


def _pair(request: Request, name: str, word: str) -> Pair | None:
    given = request.data
    return (
        (str(given[name]), str(given[word])) if isinstance(given, Mapping) and name in given and word in given else None
    )
