"""The platform on one machine: broker, server roles and a worker for each model, started and stopped in order."""

import logging
import os
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TextIO

import httpx

from qanat.cli.client import Client, ServerRefused
from qanat.cli.errors import CommandFailed
from qanat.cli.up import broker, log_files
from qanat.cli.up.keeper import Keeper
from qanat.cli.up.layout import Layout, read_json, write_private
from qanat.configuration.base import DEFAULT
from qanat.configuration.server import ServerSettings
from qanat.configuration.sources import Sources
from qanat.storage.secret_files import keep_secret
from qanat.worker.identity import ModelDirectoryError, ModelIdentity, identify

logger = logging.getLogger(__name__)

LEASE_SECONDS = 12
WARM_SECONDS = "60"
"""An idle laptop has better use for 400 MB than to keep the kernel in memory for ever."""
DRAIN_SECONDS = 15.0
STOP_SECONDS = 10.0
READY_SECONDS = 60.0
LOOK_EVERY_SECONDS = 0.05
INTERNAL_WORKER = "internal-worker"


@dataclass
class Platform:
    """Everything of one data directory; a context manager that runs from entry to exit."""

    layout: Layout
    models: Sequence[Path]
    host: str = "127.0.0.1"
    port: int = 8000
    websocket_port: int = 8001
    run_mode: str = "v2"
    identities: list[ModelIdentity] = field(default_factory=list)
    password: str | None = None
    """The first administrator's generated password, where this start made it."""
    ready_after: float = 0.0
    _keepers: list[Keeper] = field(default_factory=list)
    _log_files: log_files.Watch | None = None
    _lifeline: tuple[int, int] | None = None
    _lock: TextIO | None = None

    @property
    def url(self) -> str:
        """Where the API listens."""
        return f"http://{self.host}:{self.port}"

    def __enter__(self) -> Self:
        """Start all, and return when work can be done.

        Raises:
            CommandFailed: a model directory holds no model, a port is taken, or it does not come up.
        """
        started = time.monotonic()
        try:
            self.identities = [identify(path) for path in self.models]
        except ModelDirectoryError as error:
            raise CommandFailed(str(error)) from error
        self.layout.prepare()
        self._lock = self.layout.lock()
        _require_free(self.host, self.port, option="--port")
        _require_free(self.host, self.websocket_port, option="--websocket-port")
        try:
            self._start()
            self._wait_until_ready(started + READY_SECONDS)
        except BaseException:
            self.stop()
            raise
        self.ready_after = time.monotonic() - started
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all."""
        self.stop()

    def stop(self) -> None:
        """Drain the workers first, so that they can hand back what they run; then the rest."""
        workers = [keeper for keeper in self._keepers if keeper.name.startswith(("worker-", INTERNAL_WORKER))]
        for keeper in workers:
            keeper.stop(grace_seconds=DRAIN_SECONDS)
        for keeper in reversed([keeper for keeper in self._keepers if keeper not in workers]):
            keeper.stop(grace_seconds=STOP_SECONDS)
        self._keepers.clear()
        if self._log_files is not None:
            self._log_files.close()
            self._log_files = None
        self.layout.running.unlink(missing_ok=True)
        if self._lifeline is not None:
            for descriptor in self._lifeline:
                os.close(descriptor)
            self._lifeline = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def processes(self) -> dict[str, int | None]:
        """Return the pids of what is kept alive."""
        return {keeper.name: keeper.pid for keeper in self._keepers}

    def _start(self) -> None:
        self._lifeline = os.pipe()
        report = self.layout.root / "report.json"
        report.unlink(missing_ok=True)
        environment = self._environment()
        lifeline = str(self._lifeline[0])
        server = [sys.executable, "-m", "qanat.server", "embedded", "--host", self.host, "--port", str(self.port)]
        server += ["--websocket-port", str(self.websocket_port), "--report", str(report), "--parent-fd", lifeline]
        self._keep("broker", broker.command(self.layout), environment, foreign=True)
        self._keep("server", server, environment)
        for identity in self.identities:
            worker = [sys.executable, "-m", "qanat.worker", "--model", str(identity.directory)]
            worker += ["--run-mode", self.run_mode, "--work-dir", str(self.layout.work), "--parent-fd", lifeline]
            worker += ["--warm-seconds", WARM_SECONDS]
            self._keep(f"worker-{identity.model_id}", worker, environment)
        internal = [sys.executable, "-m", "qanat.worker", "--run-mode", "server-internal"]
        internal += ["--work-dir", str(self.layout.work), "--parent-fd", lifeline]
        self._keep(INTERNAL_WORKER, internal, environment)
        self._log_files = log_files.Watch([keeper.log for keeper in self._keepers])

    def _keep(self, name: str, command: Sequence[str], environment: dict[str, str], *, foreign: bool = False) -> None:
        log = self.layout.logs / f"{name}.log"
        log_files.begin_anew(log)
        keeper = Keeper(
            name=name,
            command=command,
            environment=environment,
            log=log,
            lifeline=None if foreign or self._lifeline is None else self._lifeline[0],
            foreign=foreign,
            before=(lambda: broker.clear(self.layout)) if foreign else (lambda: None),
        )
        self._keepers.append(keeper)
        keeper.start()

    def _environment(self) -> dict[str, str]:
        """Return what the processes are told."""
        return {
            **os.environ,
            "QANAT_DATA_DIR": str(self.layout.root),
            "QANAT_BROKER_URL": broker.url(self.layout),
            "QANAT_WORKER_KEY": keep_secret(self.layout.root / "worker_key"),
            "QANAT_SERVER": self.url,
            "QANAT_LEASE_SECONDS": os.environ.get("QANAT_LEASE_SECONDS", str(LEASE_SECONDS)),
            "QANAT_ALLOWED_HOSTS": self._allowed_hosts(),
            "PYTHONUNBUFFERED": "1",
        }

    def _allowed_hosts(self) -> str:
        """Return the host names that the server answers to: those given, and those that this machine itself uses."""
        settings = ServerSettings.read(Sources.read(os.environ))
        given = settings.allowed_hosts if settings.origin("allowed_hosts") != DEFAULT else []
        return ",".join([*given, "localhost", "127.0.0.1", self.host])

    def _wait_until_ready(self, deadline: float) -> None:
        """Wait until the API answers and every model has registered."""
        report = self.layout.root / "report.json"
        with Client(self.url) as client:
            logged_in = False
            while time.monotonic() < deadline:
                if (written := read_json(report)) and self._answers():
                    self._keep_password(report, written)
                    write_private(self.layout.running, {"url": self.url})
                    logged_in = logged_in or self._log_in(client)
                    if not logged_in or self._registered(client):
                        return
                self._require_alive()
                time.sleep(LOOK_EVERY_SECONDS)
        message = f"The platform did not come up within {READY_SECONDS:.0f} s: see the logs in {self.layout.logs}."
        raise CommandFailed(message)

    def _keep_password(self, report: Path, written: dict[str, Any]) -> None:
        """Take the first administrator's password out of the server's report, for this machine's commands."""
        if written.get("password"):
            self.password = written["password"] if written["generated"] else None
            write_private(self.layout.admin, {"username": written["admin"], "password": written["password"]})
            write_private(report, {**written, "password": None})

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/api/healthcheck/", timeout=2).is_success
        except httpx.TransportError:
            return False

    def _log_in(self, client: Client) -> bool:
        """Log in as the first administrator; False where somebody has changed the password."""
        admin = read_json(self.layout.admin)
        try:
            client.login(admin.get("username", ""), admin.get("password", ""))
        except ServerRefused:
            return False
        return True

    def _registered(self, client: Client) -> bool:
        known = {f"{m['supplier_id']}/{m['model_id']}/{m['version_id']}" for m in client.get("models/")}
        return {str(identity) for identity in self.identities} <= known

    def _require_alive(self) -> None:
        for keeper in self._keepers:
            if keeper.starts > 3 and keeper.pid is None:  # noqa: PLR2004 - thrice is no accident
                tail = "\n".join(keeper.log.read_text(errors="replace").splitlines()[-5:])
                message = f"The {keeper.name} does not stay alive; the end of {keeper.log}:\n{tail}"
                raise CommandFailed(message)


def _require_free(host: str, port: int, *, option: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = (
                f"Port {port} of {host} cannot be used ({error.strerror}): stop what listens there, or give {option}."
            )
            raise CommandFailed(message) from error


def free_port(host: str) -> int:
    """Return a port that nobody uses at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
