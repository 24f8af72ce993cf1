"""Health, tokens, and what this server is (wire contract, section 1.2)."""

from importlib import metadata
from typing import Any

from celery import current_app
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db import Error as DatabaseError
from django.db import connection
from kombu.exceptions import OperationalError as BrokerUnavailable
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import RefreshToken as Refresh

from qanat import __version__
from qanat.contract.oed import latest_schema_version, peril_codes
from qanat.server.api.common.described import ANY_OBJECT, TEXT, Operation, record
from qanat.server.api.common.parsers import JSONParser
from qanat.server.api.common.policy import ANYBODY, USERS, Endpoint

CHALLENGE = 'Bearer realm="api"'


class Public(Endpoint):
    """An endpoint that asks for no credentials."""

    policy = ANYBODY


class Health(Public):
    """``healthcheck/``: the server answers."""

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"get": Operation(gives=record(status=TEXT))}

    def get(self, request: Request) -> Response:
        """Say OK."""
        del request
        return Response({"status": "OK"})


class Connections(Public):
    """``healthcheck_connections/``: the server reaches what it needs."""

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"get": Operation(gives=record(status=TEXT), also=(status.HTTP_503_SERVICE_UNAVAILABLE,))}

    def get(self, request: Request) -> Response:
        """Say OK, or what is down."""
        del request
        down = None
        try:
            with current_app.connection_for_write() as broker:
                broker.ensure_connection(max_retries=1, timeout=3)
        except (BrokerUnavailable, OSError):
            down = "celery v2"
        try:
            connection.ensure_connection()
        except DatabaseError:
            down = "db"
        if down:
            return Response({"status": f"ERROR - {down} down"}, status=status.HTTP_503_SERVICE_UNAVAILABLE)
        return Response({"status": "OK"})


class ServerInfo(Endpoint):
    """``server_info/``: for users who are logged in, as in the reference; probing clients go by their own settings."""

    policy = USERS

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        components = record(ods_version=TEXT, oed_version=TEXT)
        return {"get": Operation(gives=record(version=TEXT, config=ANY_OBJECT, components=components))}

    def get(self, request: Request) -> Response:
        """Return version, configuration and components."""
        del request
        server = settings.QANAT
        database = settings.DATABASES["default"]["ENGINE"]
        config: dict[str, Any] = {
            "DEBUG": settings.DEBUG,
            "LANGUAGE_CODE": settings.LANGUAGE_CODE,
            "TIME_ZONE": settings.TIME_ZONE,
            "STORAGES": {"default": {"BACKEND": f"qanat.storage.{server.storage_kind}"}},
            "DB_ENGINE": database,
            "STORAGE_TYPE": server.storage_type,
            "MEDIA_ROOT": str(server.media_root),
            "AWS_STORAGE_BUCKET_NAME": server.aws_bucket_name,
            "AWS_LOCATION": server.aws_location,
            "AWS_SHARED_BUCKET": server.aws_shared_bucket,
            "AWS_QUERYSTRING_EXPIRE": server.aws_querystring_expire,
            "AWS_QUERYSTRING_AUTH": server.aws_querystring_auth,
            "API_AUTH_TYPE": "simple_jwt",
            "ROTATE_REFRESH_TOKEN": True,
            "ACCESS_TOKEN_LIFETIME": str(server.access_token_lifetime.total_seconds()),
            "REFRESH_TOKEN_LIFETIME": str(server.refresh_token_lifetime.total_seconds()),
        }
        components = {"ods_version": _version_of("ods-tools"), "oed_version": latest_schema_version()}
        return Response({"version": __version__, "config": config, "components": components})


class PerilCodes(Public):
    """``oed_peril_codes/``: the perils of Open Exposure Data, and the groups of them."""

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        named = {"type": "object", "additionalProperties": ANY_OBJECT}
        return {"get": Operation(gives=record(peril_codes=named, peril_groups=named))}

    def get(self, request: Request) -> Response:
        """Return both."""
        del request
        return Response(peril_codes())


def _version_of(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


TOKENS = record(access_token=TEXT, refresh_token=TEXT, token_type=TEXT, expires_in={"type": "number"})
USER_ID = "user_id"
"""The claim of a token that says whose it is."""


class TokenView(Public):
    """The token endpoints, the only ones to answer 401."""

    def refuse(self, body: dict[str, Any]) -> Response:
        """Answer 401 with a challenge."""
        return Response(body, status=status.HTTP_401_UNAUTHORIZED, headers={"WWW-Authenticate": CHALLENGE})


class AccessToken(TokenView):
    """``access_token/``."""

    parser_classes = (JSONParser, FormParser, MultiPartParser)

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"post": Operation(takes=record(username=TEXT, password=TEXT), gives=TOKENS, refusals=(401,))}

    def post(self, request: Request) -> Response:
        """Exchange user name and password for tokens."""
        given = request.data
        if not isinstance(given, dict):
            raise ValidationError(["Send username and password."])
        if "username" not in given or "password" not in given:
            if "client_id" in given and "client_secret" in given:
                raise ValidationError(
                    ["The client credentials flow is disabled on this server: log in with username and password."]
                )
            raise ValidationError(["Send username and password."])
        user = authenticate(request, username=str(given["username"]), password=str(given["password"]))
        if user is None:
            return self.refuse({"detail": "No active account found with the given credentials"})
        refresh = Refresh.for_user(user)
        return Response({"refresh_token": str(refresh), **_access(refresh)})


class RefreshToken(TokenView):
    """``refresh_token/``."""

    parser_classes = (FormParser,)

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives: the refresh token comes in the header ``Authorization``."""
        return {"post": Operation(gives=TOKENS, refusals=(401,))}

    def post(self, request: Request) -> Response:
        """Exchange a refresh token for new tokens; the old one is good no longer."""
        _ = request.data  # a body of another type is refused here
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given:
            return Response({"Detail": ["Refresh token not found in header"]}, status=status.HTTP_400_BAD_REQUEST)
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


def _access(refresh: Refresh) -> dict[str, Any]:
    return {
        "access_token": str(refresh.access_token),
        "token_type": "Bearer",
        "expires_in": settings.QANAT.access_token_lifetime.total_seconds(),
    }
