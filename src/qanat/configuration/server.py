"""The settings of the server's processes."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import Field

from qanat.configuration.broker import BrokerSettings
from qanat.configuration.database import DatabaseSettings
from qanat.configuration.login import LoginSettings
from qanat.configuration.logs import LogSettings
from qanat.configuration.names import Bare, Hidden, Key, OfServer, Own
from qanat.configuration.storage import StorageSettings
from qanat.configuration.values import Duration, ListOf

GENERATED: Final = ("secret_key", "worker_key")
"""Secrets that are made on first start, each in a file of its name in the data directory."""


class ServerSettings(LoginSettings, StorageSettings, DatabaseSettings, BrokerSettings, LogSettings):
    """Keys, limits and rules of the server."""

    reader: ClassVar = "The server"

    secret_key: Annotated[OfServer[str], Hidden()] = Field(default="", repr=False)
    """Signs sessions, and tokens where they have no key of their own; empty: one is generated and kept in the data
    directory."""
    token_signing_key: Annotated[str, Key("server", "TOKEN_SIGINING_KEY"), Hidden()] = Field(default="", repr=False)
    """Signs tokens; empty: the secret key does. The platform spells it so."""
    worker_key: Annotated[str, Hidden()] = Field(default="", repr=False)
    """Shared by the server and its own workers; empty: one is generated and kept in the data directory."""
    metrics_token: Annotated[str, Hidden()] = Field(default="", repr=False)
    """Who sends it as a bearer token may read ``/metrics``; empty: whoever asks from the machine itself may."""
    probe_port: int = Field(default=0, ge=0, le=65535)
    """Port on which the roles that serve no HTTP (``task-controller``, ``monitor``, ``beat``) answer ``/livez``,
    ``/readyz`` and ``/metrics``, at the address of their option ``--host``; 0: none. ``qanat up`` needs none."""
    allowed_hosts: OfServer[ListOf[str]] = ["localhost", "127.0.0.1", "[::1]"]
    """The names by which clients may call the server; ``*``: all."""
    disable_v2_api: OfServer[bool] = False
    """Serve version 1 of the API alone."""
    startup_run_migrations: Annotated[bool, Bare(("STARTUP_RUN_MIGRATIONS",))] = False
    """Bring the tables of the database up to date when the API starts; of several that start at once, one does it."""
    lease_seconds: float = Field(default=60.0, gt=0)
    """How long a worker holds a step without a sign of life; heartbeats come every sixth of it."""
    stock_lease_seconds: float = Field(default=6 * 3600.0, gt=0)
    """How long a worker of the Oasis Platform holds a step after its latest sign of life, where it does not answer when
    it is asked."""
    approve_new_models: bool = False
    """A model that a worker registers stays hidden until an operator has approved it on the admin site."""
    dispatch_interval_seconds: float = Field(default=1.0, gt=0)
    """The task controller looks at the latest after this, even if nobody wakes it."""
    look_interval_seconds: float = Field(default=1.0, gt=0)
    """How often a process that has listeners looks for news; on PostgreSQL commits wake it, and it looks by itself
    fifteen times as rarely."""
    digest_interval_seconds: float = Field(default=60.0, gt=0)
    """How often beat has all listeners told of the queues where nothing happens."""
    api_processes: int = Field(default=1, ge=1)
    """How many processes serve the API on one port; one uses about one core."""
    api_threads: int = Field(default=8, ge=1)
    """How many requests a process works at at a time; those that only wait for their client do not count."""
    keep_run_files: Duration = timedelta(days=90)
    """How long after the end of a run the logs of its sub-tasks are kept, and of one that failed or was cancelled what
    the next can go on from. Files of analyses and portfolios stay as long as they."""
    keep_remote_data: Annotated[bool, Key("worker", "KEEP_REMOTE_DATA"), Own()] = False
    """Keep what the steps of a run have handed on to one another as long, also where the run has gone well. It is the
    server that removes it, so the server reads this."""
    portfolio_parquet_storage: OfServer[bool] = False
    """Keep the OED files of portfolios that come as csv as parquet."""
    max_upload_bytes: int = 20 * 2**30
    """The largest file that is taken."""
    conversion_memory_bytes: int = 4 * 2**30
    """What turning an OED file from csv into parquet, or back, may take; it is done in a process of its own."""
    restrict_system_logs: OfServer[bool] = False
    """V1: tracebacks and logs for staff only."""
    enforce_groups_on_v1: bool = True
    """False: V1 shows everything to everybody, as the reference platform does."""
    priority_admin_levels: Annotated[ListOf[int], Key("server", "ANALYSIS_PRIORITY_ADMIN_LEVELS")] = [8, 9, 10]
    """Priorities that only staff may give."""

    @property
    def upload_dir(self) -> Path:
        """Directory of uploads that are on their way; in the local storage's file system they need no room besides."""
        return self.data_dir / "uploads"

    @property
    def media_root(self) -> Path:
        """Directory of the local storage."""
        return self.storage_root or self.data_dir / "media"

    def shown(self, name: str) -> str:
        """Return what is in effect where nothing is given: which keys are generated, and where files lie."""
        if name in GENERATED and not getattr(self, name):
            return f"(generated, in {self.data_dir / name})"
        return str(self.media_root) if name == "storage_root" else super().shown(name)
