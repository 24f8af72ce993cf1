"""Roles as processes of their own, as a cluster has them: on PostgreSQL and RabbitMQ, on any host, one by one."""

import os
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

import httpx

from qanat.cli.client import Client
from qanat.cli.up.platform import free_port
from tests.live_server import PASSWORD, PREPARE
from tests.waiting import until

DRAIN_SECONDS = 30.0
LOCAL = "127.0.0.1"


@dataclass(kw_only=True)
class Process:
    """A process that can be started and stopped any number of times; a context manager that does so once."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    _process: "subprocess.Popen[bytes] | None" = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it, however busy it is."""
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.kill()

    def start(self) -> None:
        """Start it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, env=dict(self.environment), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def stop(self) -> int:
        """Ask it to end, as a cluster does (TERM), and return its exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        code = self._process.wait(DRAIN_SECONDS)
        self._process = None
        return code

    def kill(self) -> None:
        """Kill it."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def pid(self) -> int:
        """The living process."""
        assert self._process is not None
        assert self._process.poll() is None, self.said()
        return self._process.pid

    def said(self) -> str:
        """Return what it has logged."""
        return self.log.read_text(errors="replace")


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What the processes of one platform are told, on whichever host they run."""

    folder: Path
    """Of its files; what hosts keep for themselves lies beneath it too, each apart."""
    database: str
    broker: str
    address: str = LOCAL
    """Where the API listens."""
    port: int = field(default_factory=partial(free_port, LOCAL))
    settings: Mapping[str, str] = field(default_factory=dict)
    secret: str = field(default_factory=partial(secrets.token_hex, 32), repr=False)

    @property
    def url(self) -> str:
        """Where the first API server listens."""
        return f"http://{self.address}:{self.port}"

    def environment(self, home: Path) -> dict[str, str]:
        """Return what a process is told that lives on the host with this home."""
        (home / "tmp").mkdir(parents=True, exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("QANAT_", "OASIS_"))}
        return {
            **inherited,
            "HOME": str(home),
            "TMPDIR": str(home / "tmp"),
            "DJANGO_SETTINGS_MODULE": "qanat.server.config.settings",
            "QANAT_DATA_DIR": str(home / "data"),
            "QANAT_STORAGE_ROOT": str(self.folder / "media"),
            "QANAT_DATABASE_URL": self.database,
            "QANAT_BROKER_URL": self.broker,
            "QANAT_SERVER": self.url,
            "QANAT_SECRET_KEY": self.secret,
            "QANAT_WORKER_KEY": self.secret,
            "QANAT_ALLOWED_HOSTS": "*",
            "PYTHONUNBUFFERED": "1",
            **self.settings,
        }

    def prepare(self) -> None:
        """Make the tables, and an administrator."""
        told = self.environment(self.folder / "server")
        subprocess.run([sys.executable, "-c", PREPARE], env=told, check=True)

    def client(self) -> Client:
        """Return the administrator, logged in, once the API answers."""
        until(self.answers, what="the API answers")
        client = Client(self.url)
        client.login("admin", PASSWORD)
        return client

    def answers(self, port: int | None = None) -> bool:
        """Say whether an API server answers, the first unless another one's port is given."""
        try:
            return httpx.get(f"http://{self.address}:{port or self.port}/api/healthcheck/", timeout=5).is_success
        except httpx.TransportError:
            return False

    def role(self, name: str, *options: str, home: str = "server", within: Sequence[str] = ()) -> Process:
        """Return a role of the server; ``within`` is the command that starts it on another host."""
        return self._process(name, ["qanat.server", name, *options], home=home, within=within)

    def api(self, port: int | None = None) -> Process:
        """Return an API server, the first unless another port is given."""
        listens = port or self.port
        role = self.role("api", "--host", self.address, "--port", str(listens))
        role.log = role.log.with_name(f"api-{listens}.log")
        return role

    def worker(self, model: Path | None, *options: str, home: str = "server", within: Sequence[str] = ()) -> Process:
        """Return a worker of a model or, without, the internal one."""
        kind = ["--model", str(model)] if model is not None else ["--run-mode", "server-internal"]
        work = self.folder / home / "work"
        command = ["qanat.worker", *kind, "--work-dir", str(work), *options]
        return self._process("internal-worker" if model is None else "worker", command, home=home, within=within)

    def _process(self, name: str, module: Sequence[str], *, home: str, within: Sequence[str]) -> Process:
        place = self.folder / home
        command = [*within, sys.executable, "-m", *module]
        return Process(
            name=name, command=command, environment=self.environment(place), log=place / "logs" / f"{name}.log"
        )
