"""The server's settings, typed, from the environment: ``QANAT_<NAME>``.

What is secret and not given is generated on first start and kept in the data directory, readable by its owner only.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from qanat.domain.hosts import is_loopback
from qanat.storage.port import KEY
from qanat.storage.secret_files import keep_secret

KNOWN_WEAK: Final = {"", "secret", "changeme", "password", "django-insecure"}
SHORTEST_SECRET: Final = 32
S3_TYPES: Final = frozenset({"s3", "aws", "aws-s3"})


class BadSettings(Exception):
    """A setting is wrong; the message says which, why, and what to do."""


def default_data_dir() -> Path:
    """Return where a laptop keeps the platform's data: the XDG data directory of the user."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "qanat"


def shared_names(name: str) -> tuple[str, ...]:
    """Return the variables that set what the reference platform has too, ours first."""
    return tuple(f"{prefix}_{name.upper()}" for prefix in ("QANAT", "OASIS_SERVER", "OASIS"))


def _shared(name: str, default: Any) -> Any:  # noqa: ANN401 - of any setting
    return Field(default=default, validation_alias=AliasChoices(*shared_names(name)))


class StorageSettings(BaseSettings):
    """Where bytes lie; the names are the reference platform's, and with ``OASIS_`` before them they are read too."""

    storage_type: Literal["local-fs", "shared-fs", "s3", "aws", "aws-s3", "azure"] = _shared("storage_type", "local-fs")
    """``local-fs`` and ``shared-fs``: a directory; ``s3``, ``aws`` and ``aws-s3``: a bucket; ``azure``: a container."""
    aws_bucket_name: str = _shared("aws_bucket_name", "")
    aws_location: str = _shared("aws_location", "")
    """Beginning of the names of all objects."""
    aws_access_key_id: str = _shared("aws_access_key_id", "")
    """Empty: what boto3 finds by itself, such as the role of the machine."""
    aws_secret_access_key: SecretStr = _shared("aws_secret_access_key", SecretStr(""))
    aws_s3_endpoint_url: str = _shared("aws_s3_endpoint_url", "")
    """Where it is not Amazon's."""
    aws_s3_region_name: str = _shared("aws_s3_region_name", "")
    aws_default_acl: str = _shared("aws_default_acl", "")
    aws_shared_bucket: bool = _shared("aws_shared_bucket", default=False)
    aws_querystring_auth: bool = _shared("aws_querystring_auth", default=False)
    aws_querystring_expire: int = _shared("aws_querystring_expire", 604_800)
    """How many seconds a signed link is good for."""
    azure_account_name: str = _shared("azure_account_name", "")
    azure_account_key: SecretStr = _shared("azure_account_key", SecretStr(""))
    """Empty, and no SAS token either: the identity of the machine or of the environment."""
    azure_sas_token: SecretStr = _shared("azure_sas_token", SecretStr(""))
    azure_container: str = _shared("azure_container", "")
    azure_location: str = _shared("azure_location", "")
    """Beginning of the names of all blobs."""
    azure_endpoint_url: str = _shared("azure_endpoint_url", "")
    """Where it is not ``https://ACCOUNT.blob.core.windows.net``."""

    @property
    def storage_kind(self) -> Literal["local", "s3", "azure"]:
        """What the type comes down to."""
        if self.storage_type == "azure":
            return "azure"
        return "s3" if self.storage_type in S3_TYPES else "local"

    @property
    def storage_location(self) -> str:
        """What stands before each key in the names of objects, without slashes at its ends."""
        return {"local": "", "s3": self.aws_location, "azure": self.azure_location}[self.storage_kind].strip("/")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {"local": (), "s3": ("aws_bucket_name",), "azure": ("azure_account_name", "azure_container")}
        if missing := [f"QANAT_{name.upper()}" for name in needed[self.storage_kind] if not getattr(self, name)]:
            message = f"storage of the type '{self.storage_type}' needs {' and '.join(missing)}"
            raise ValueError(message)
        if bool(self.aws_access_key_id) != bool(self.aws_secret_access_key.get_secret_value()):
            message = "QANAT_AWS_ACCESS_KEY_ID and QANAT_AWS_SECRET_ACCESS_KEY go together: give both or neither"
            raise ValueError(message)
        if self.storage_location and not KEY.fullmatch(self.storage_location):
            message = (
                f"the location '{self.storage_location}' of the files may have letters, digits and _ . + @ = - only, "
                "and slashes between them"
            )
            raise ValueError(message)
        return self


class LoginSettings(BaseSettings):
    """How users prove who they are; the names are the reference platform's as above."""

    debug: bool = False
    api_auth_type: Literal["simple", "oidc", "keycloak", "authentik", "disabled"] = _shared("api_auth_type", "simple")
    """``simple``: names and passwords of our own; ``disabled``: everybody is the first administrator; else: through an
    identity provider that speaks OpenID Connect."""
    oidc_endpoint: str = _shared("oidc_endpoint", "")
    """The provider's: of Keycloak ``https://HOST/realms/REALM/protocol/openid-connect/``, of authentik
    ``https://HOST/application/o/``, of others the issuer."""
    oidc_issuer: str = _shared("oidc_issuer", "")
    """What tokens must call their issuer, where it is not what follows from the endpoint."""
    oidc_client_name: str = _shared("oidc_client_name", "")
    oidc_client_secret: SecretStr = _shared("oidc_client_secret", SecretStr(""))
    oidc_verify_ssl: bool = _shared("oidc_verify_ssl", default=True)
    """Whether the provider must prove who it is; only for debugging not."""
    oidc_redirect_origins: list[str] = _shared("oidc_redirect_origins", [])
    """Where else a log-in may lead back to, such as ``https://ui.example.com``."""
    ingress_external_host: str = Field(
        default="",
        validation_alias=AliasChoices(*shared_names("ingress_external_host"), "INGRESS_EXTERNAL_HOST"),
    )
    """The host, and port, by which browsers know this server."""
    ingress_internal_host: str = Field(
        default="",
        validation_alias=AliasChoices(*shared_names("ingress_internal_host"), "INGRESS_INTERNAL_HOST"),
    )
    """Where the server itself finds that host, if not by its name."""
    proxies: int = Field(default=0, ge=0)
    """How many reverse proxies of ours stand before the API: so many of the last addresses in ``X-Forwarded-For`` are
    to be believed."""

    @property
    def through_provider(self) -> bool:
        """Whether users log in through an identity provider."""
        return self.api_auth_type not in {"simple", "disabled"}

    @property
    def external_origin(self) -> str:
        """Where browsers find this server."""
        plain = self.debug and is_loopback(self.ingress_external_host)
        return f"{'http' if plain else 'https'}://{self.ingress_external_host}"

    @model_validator(mode="after")
    def _provider_is_known(self) -> Self:
        if not self.through_provider:
            return self
        needed = ("oidc_endpoint", "oidc_client_name", "ingress_external_host")
        if missing := [f"QANAT_{name.upper()}" for name in needed if not getattr(self, name)]:
            message = f"logging in through '{self.api_auth_type}' needs {' and '.join(missing)}"
            raise ValueError(message)
        if not self.debug and not self.oidc_verify_ssl:
            message = (
                "QANAT_OIDC_VERIFY_SSL can be false with QANAT_DEBUG only: name the certificates of your own "
                "authority in SSL_CERT_FILE instead"
            )
            raise ValueError(message)
        if not self.debug and not self.oidc_endpoint.startswith("https://"):
            message = "QANAT_OIDC_ENDPOINT must begin with https://, or whoever is on the way could log in as anybody"
            raise ValueError(message)
        if wrong := [origin for origin in self.oidc_redirect_origins if not _is_origin(origin, debug=self.debug)]:
            message = f"QANAT_OIDC_REDIRECT_ORIGINS: '{wrong[0]}' should look like https://ui.example.com"
            raise ValueError(message)
        return self


def _is_origin(text: str, *, debug: bool) -> bool:
    parts = urlsplit(text)
    return bool(parts.hostname) and text == f"{parts.scheme}://{parts.netloc}" and (parts.scheme == "https" or debug)


class ServerSettings(StorageSettings, LoginSettings):
    """All that can be set about the server's processes."""

    model_config = SettingsConfigDict(env_prefix="QANAT_", extra="ignore")

    data_dir: Path = Field(default_factory=default_data_dir)
    """Home of everything that is not configured to lie elsewhere."""
    secret_key: str = ""
    """Signs tokens and sessions."""
    worker_key: str = ""
    """Shared by the server and its own workers."""
    allowed_hosts: list[str] = ["localhost", "127.0.0.1", "[::1]"]
    database_url: str = ""
    """``postgresql://user:password@host:port/name``; empty: SQLite in the data directory."""
    broker_url: str = "memory://"
    storage_root: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("QANAT_STORAGE_ROOT", "OASIS_SERVER_MEDIA_ROOT", "OASIS_MEDIA_ROOT"),
    )
    """Directory of the local storage; empty: ``media`` in the data directory."""
    access_token_seconds: int = 3600
    refresh_token_seconds: int = 2 * 24 * 3600
    lease_seconds: float = Field(default=60.0, gt=0)
    """How long a worker holds a step without a sign of life; heartbeats come every sixth of it."""
    stock_lease_seconds: float = Field(default=6 * 3600.0, gt=0)
    """How long a worker of the Oasis Platform holds a step after its latest sign of life, where it does not answer when
    it is asked."""
    approve_new_models: bool = False
    """A model that a worker registers stays hidden until an operator has approved it on the admin site."""
    dispatch_interval_seconds: float = Field(default=1.0, gt=0)
    """The task controller looks at the latest after this, even if nobody wakes it."""
    api_processes: int = Field(default=1, ge=1)
    """How many processes serve the API on one port; one uses about one core."""
    api_threads: int = Field(default=8, ge=1)
    """How many requests a process works at at a time; those that only wait for their client do not count."""
    portfolio_parquet_storage: bool = _shared("portfolio_parquet_storage", default=False)
    """Keep the OED files of portfolios that come as csv as parquet."""
    max_upload_bytes: int = 20 * 2**30
    conversion_memory_bytes: int = 4 * 2**30
    """What turning an OED file from csv into parquet, or back, may take; it is done in a process of its own."""
    restrict_system_logs: bool = False
    """V1: tracebacks and logs for staff only."""
    enforce_groups_on_v1: bool = True
    """False: V1 shows everything to everybody, as the reference platform does."""
    priority_admin_levels: list[int] = [8, 9, 10]
    """Priorities that only staff may give."""

    @property
    def upload_dir(self) -> Path:
        """Directory of uploads that are on their way; large ones need room there and then in storage."""
        return self.data_dir / "uploads"

    @property
    def media_root(self) -> Path:
        """Directory of the local storage."""
        return self.storage_root or self.data_dir / "media"

    @property
    def access_token_lifetime(self) -> timedelta:
        """How long an access token is good for."""
        return timedelta(seconds=self.access_token_seconds)

    @property
    def refresh_token_lifetime(self) -> timedelta:
        """How long a refresh token is good for."""
        return timedelta(seconds=self.refresh_token_seconds)


def load() -> ServerSettings:
    """Read the environment and complete the secrets.

    Raises:
        BadSettings: a variable is malformed, or a secret is too weak to start with.
    """
    try:
        settings = ServerSettings()
    except ValidationError as error:
        lines = [f"{_variable(e['loc'])}{e['msg'].removeprefix('Value error, ')}" for e in error.errors()]
        message = "The server cannot start with these settings. " + "; ".join(lines)
        raise BadSettings(message) from None
    except SettingsError as error:
        message = f"The server cannot start with these settings. {error}: lists are written as JSON."
        raise BadSettings(message) from None
    settings.secret_key = _secret(settings, "secret_key")
    settings.worker_key = _secret(settings, "worker_key")
    return settings


def _variable(place: tuple[int | str, ...]) -> str:
    """Return how to begin the sentence about a variable; nothing where it is about several."""
    name = "_".join(map(str, place)).upper()
    if not name:
        return ""
    return f"{name}: " if name.startswith(("QANAT_", "OASIS_")) else f"QANAT_{name}: "


def _secret(settings: ServerSettings, name: str) -> str:
    given: str = getattr(settings, name)
    if not given:
        return keep_secret(settings.data_dir / name)
    if not settings.debug and (given in KNOWN_WEAK or len(given) < SHORTEST_SECRET):
        message = (
            f"QANAT_{name.upper()} is too weak: give at least {SHORTEST_SECRET} random characters, or leave it out and "
            f"one is generated in {settings.data_dir}."
        )
        raise BadSettings(message)
    return given
