"""The server's settings, typed, from the environment: ``QANAT_<NAME>``.

What is secret and not given is generated on first start and kept in the data directory, readable by its owner only.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from qanat.storage.secret_files import keep_secret

KNOWN_WEAK: Final = {"", "secret", "changeme", "password", "django-insecure"}
SHORTEST_SECRET: Final = 32


class BadSettings(Exception):
    """A setting is wrong; the message says which, why, and what to do."""


def default_data_dir() -> Path:
    """Return where a laptop keeps the platform's data: the XDG data directory of the user."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "qanat"


class ServerSettings(BaseSettings):
    """All that can be set about the server's processes."""

    model_config = SettingsConfigDict(env_prefix="QANAT_", extra="ignore")

    data_dir: Path = Field(default_factory=default_data_dir)
    """Home of everything that is not configured to lie elsewhere."""
    debug: bool = False
    secret_key: str = ""
    """Signs tokens and sessions."""
    worker_key: str = ""
    """Shared by the server and its own workers."""
    allowed_hosts: list[str] = ["localhost", "127.0.0.1", "[::1]"]
    database_url: str = ""
    """``postgresql://user:password@host:port/name``; empty: SQLite in the data directory."""
    broker_url: str = "memory://"
    storage_root: Path | None = None
    """Directory of the local storage; empty: ``media`` in the data directory."""
    access_token_seconds: int = 3600
    refresh_token_seconds: int = 2 * 24 * 3600
    lease_seconds: float = Field(default=60.0, gt=0)
    """How long a worker holds a step without a sign of life; heartbeats come every sixth of it."""
    dispatch_interval_seconds: float = Field(default=1.0, gt=0)
    """The task controller looks at the latest after this, even if nobody wakes it."""
    max_upload_bytes: int = 20 * 2**30
    restrict_system_logs: bool = False
    """V1: tracebacks and logs for staff only."""
    enforce_groups_on_v1: bool = True
    """False: V1 shows everything to everybody, as the reference platform does."""
    priority_admin_levels: list[int] = [8, 9, 10]
    """Priorities that only staff may give."""

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
        lines = [f"QANAT_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
        message = "The server cannot start with these settings. " + "; ".join(lines)
        raise BadSettings(message) from None
    except SettingsError as error:
        message = f"The server cannot start with these settings. {error}: lists are written as JSON."
        raise BadSettings(message) from None
    settings.secret_key = _secret(settings, "secret_key")
    settings.worker_key = _secret(settings, "worker_key")
    return settings


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
