"""Health, and what this server is (wire contract, section 1.2)."""

from importlib import metadata
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from kombu.exceptions import OperationalError as BrokerUnavailable
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from qanat import __version__
from qanat.contract.oed import latest_schema_version, peril_codes
from qanat.server.accounts.provider import provider
from qanat.server.api.common.described import ANY_OBJECT, TEXT, Operation, record
from qanat.server.api.common.policy import ANYBODY, USERS, Endpoint


class Health(Endpoint):
    """``healthcheck/``: the server answers."""

    policy = ANYBODY

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"get": Operation(gives=record(status=TEXT))}

    def get(self, request: Request) -> Response:
        """Say OK."""
        del request
        return Response({"status": "OK"})


class Connections(Endpoint):
    """``healthcheck_connections/``: the server reaches what it needs."""

    policy = ANYBODY

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
        # The names of the framework's own, by which clients know them.
        engine = {"sqlite": "sqlite3", "postgresql": "postgresql"}[server.database.kind]
        config: dict[str, Any] = {
            "DEBUG": settings.DEBUG,
            "LANGUAGE_CODE": settings.LANGUAGE_CODE,
            "TIME_ZONE": settings.TIME_ZONE,
            "STORAGES": {"default": {"BACKEND": f"qanat.storage.{server.storage_kind}"}},
            "DB_ENGINE": f"django.db.backends.{engine}",
            "STORAGE_TYPE": server.storage_type,
            "MEDIA_ROOT": str(server.media_root),
            "AWS_STORAGE_BUCKET_NAME": server.aws_bucket_name,
            "AWS_LOCATION": server.aws_location,
            "AWS_SHARED_BUCKET": server.aws_shared_bucket,
            "AWS_QUERYSTRING_EXPIRE": server.aws_querystring_expire,
            "AWS_QUERYSTRING_AUTH": server.aws_querystring_auth,
            **_login(),
        }
        components = {"ods_version": _version_of("ods-tools"), "oed_version": latest_schema_version()}
        return Response({"version": __version__, "config": config, "components": components})


class PerilCodes(Endpoint):
    """``oed_peril_codes/``: the perils of Open Exposure Data, and the groups of them."""

    policy = ANYBODY

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        named = {"type": "object", "additionalProperties": ANY_OBJECT}
        return {"get": Operation(gives=record(peril_codes=named, peril_groups=named))}

    def get(self, request: Request) -> Response:
        """Return both."""
        del request
        return Response(peril_codes())


def _login() -> dict[str, Any]:
    """Return what clients are told of how to log in."""
    server = settings.QANAT
    if server.api_auth_type == "disabled":
        return {"API_AUTH_TYPE": "disabled"}
    if server.through_provider:
        return {
            "API_AUTH_TYPE": server.api_auth_type,
            "OIDC_OP_AUTHORIZATION_ENDPOINT": provider().address("authorization_endpoint"),
            "OIDC_OP_TOKEN_ENDPOINT": provider().address("token_endpoint"),
            "OIDC_OP_USER_ENDPOINT": provider().address("userinfo_endpoint"),
        }
    return {
        "API_AUTH_TYPE": "simple_jwt",
        "ROTATE_REFRESH_TOKEN": server.refresh_token_rotate,
        "ACCESS_TOKEN_LIFETIME": str(server.access_token_lifetime.total_seconds()),
        "REFRESH_TOKEN_LIFETIME": str(server.refresh_token_lifetime.total_seconds()),
    }


def _version_of(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"
