"""The platform as a site runs it: a process a role, two of those that may be many, on PostgreSQL and RabbitMQ.

Every process is started again when it ends, as an orchestrator does. Between the processes and PostgreSQL, RabbitMQ and
the API stand proxies; the harness itself reaches PostgreSQL and RabbitMQ without.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import psutil
from services import PostgreSQL, RabbitMQ, free_ports

from qanat.cli.up.keeper import Keeper
from qanat.demo import MODEL_ID
from qanat.demo.model import write_model
from qanat.worker import processes
from tests.chaos import misbehaving_lookup
from tests.chaos.patient import PatientClient
from tests.chaos.proxy import HOST, Proxy
from tests.waiting import until

ADMIN: Final = "admin"
APIS: Final = ("api-1", "api-2")
CONTROLLERS: Final = ("task-controller-1", "task-controller-2")
MONITORS: Final = ("monitor-1", "monitor-2")
WORKERS: Final = ("worker-1", "worker-2")
INTERNAL: Final = "internal-worker"
ROOMY_DISK: Final = "512m"
STOP_SECONDS: Final = 10.0


@dataclass
class Cluster:
    """The platform in a folder; a context manager that runs from entry to exit."""

    folder: Path
    lease_seconds: int
    keepers: dict[str, Keeper] = field(default_factory=dict)
    small_disks: list[Path] = field(default_factory=list)
    """Work directories that are file systems of their own."""
    _held: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __post_init__(self) -> None:
        database_port, broker_port, distribution_port, self._websocket_port, *self._api_ports = free_ports(6)
        self.database = PostgreSQL(
            folder=self.folder / "postgresql", port=database_port, options="-c fsync=off -c max_connections=200"
        )
        self.broker = RabbitMQ(folder=self.folder / "rabbitmq", port=broker_port, distribution_port=distribution_port)
        self.logs = self.folder / "logs"
        self.home = self.folder / "server"
        self._password = secrets.token_urlsafe(12)

    def __enter__(self) -> Self:
        self.logs.mkdir()
        self.home.mkdir()
        # PostgreSQL's user, which is not this one where this one is root, must get to its folder.
        self.folder.chmod(0o711)
        with contextlib.ExitStack() as stack:
            stack.callback(self.database.stop, mode="immediate")
            self.database.start()
            stack.callback(self.broker.kill)
            self.broker.start()
            self.proxies = {
                "database": stack.enter_context(Proxy([self.database.port or 0])),
                "broker": stack.enter_context(Proxy([self.broker.port])),
                "api": stack.enter_context(Proxy(self._api_ports)),
            }
            stack.callback(self._stop)
            self._start()
            self._held = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    @property
    def url(self) -> str:
        """Where the API is reached."""
        return f"http://{HOST}:{self.proxies['api'].port}/"

    def client(self) -> PatientClient:
        """Return an administrator, logged in."""
        client = PatientClient(self.url)
        client.login(ADMIN, self._password)
        return client

    def work_dir(self, worker: str) -> Path:
        """Return where a worker runs its steps."""
        return self.folder / "work" / worker

    def processes(self, member: str) -> list[psutil.Process]:
        """Return the living processes of a member: the one that is kept, and all that come from it."""
        pid = self.keepers[member].pid
        if pid is None:
            return []
        try:
            kept = psutil.Process(pid)
            return [kept, *kept.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def left_over(self) -> list[str]:
        """Return what is left of attempts: processes and directories."""
        found = [f"{process.pid} {process.name()}" for process in self._of_steps()]
        return found + [str(path) for path in self.folder.glob("work/*/run-*")]

    def wait_until_ready(self) -> None:
        """Wait until a worker has registered the model."""
        with self.client() as client:
            until(lambda: client.get("models/"), what="the model is registered")

    def _of_steps(self) -> list[psutil.Process]:
        return processes.members((), directory=self.folder / "work")

    def _environment(self) -> dict[str, str]:
        broker = self.broker.url.replace(f":{self.broker.port}/", f":{self.proxies['broker'].port}/")
        database = self.database.url.replace(f":{self.database.port}/", f":{self.proxies['database'].port}/")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("QANAT_", "OASIS_"))}
        return {
            **inherited,
            "QANAT_DATA_DIR": str(self.home),
            "QANAT_DATABASE_URL": database,
            "QANAT_BROKER_URL": broker,
            "QANAT_SERVER": self.url,
            "QANAT_WORKER_KEY": secrets.token_urlsafe(24),
            "QANAT_SECRET_KEY": secrets.token_urlsafe(48),
            "QANAT_ADMIN_USER": ADMIN,
            "QANAT_ADMIN_PASSWORD": self._password,
            "QANAT_LEASE_SECONDS": str(self.lease_seconds),
            "PYTHONUNBUFFERED": "1",
        }

    def _start(self) -> None:
        environment = self._environment()
        migrate = [sys.executable, "-m", "qanat.server", "migrate"]
        subprocess.run(migrate, env=environment, check=True, stdout=subprocess.DEVNULL)
        for name, port in zip(APIS, self._api_ports, strict=True):
            self._keep(name, ["qanat.server", "api", "--port", str(port)], environment)
        for name in (*CONTROLLERS, *MONITORS, "beat"):
            self._keep(name, ["qanat.server", name.rstrip("-12")], environment)
        self._keep(
            "websocket", ["qanat.server", "websocket", "--websocket-port", str(self._websocket_port)], environment
        )
        write_model(self.folder / "model")
        misbehaving_lookup.write(self.folder / "model" / "keys_data" / MODEL_ID)
        for name in WORKERS:
            model = shutil.copytree(self.folder / "model", self.folder / "models" / name)
            self._keep_worker(name, ["--model", str(model), "--slots", "2"], environment)
        self._keep_worker(INTERNAL, ["--run-mode", "server-internal"], environment)

    def _keep_worker(self, name: str, options: list[str], environment: dict[str, str]) -> None:
        folder = self.work_dir(name)
        folder.mkdir(parents=True)
        if name == WORKERS[-1] and os.geteuid() == 0 and _mount(folder, f"size={ROOMY_DISK}"):
            self.small_disks.append(folder)
        self._keep(name, ["qanat.worker", *options, "--work-dir", str(folder)], environment)

    def _keep(self, name: str, module: list[str], environment: dict[str, str]) -> None:
        keeper = Keeper(
            name=name,
            command=[sys.executable, "-m", *module],
            environment=environment,
            log=self.logs / f"{name}.log",
            foreign=True,
        )
        self.keepers[name] = keeper
        keeper.start()

    def _stop(self) -> None:
        with ThreadPoolExecutor(len(self.keepers)) as threads:
            list(threads.map(lambda keeper: keeper.stop(grace_seconds=STOP_SECONDS), self.keepers.values()))
        for process in self._of_steps():
            with contextlib.suppress(psutil.Error):
                process.kill()
        for folder in self.small_disks:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607


def _mount(folder: Path, options: str) -> bool:
    if shutil.which("mount") is None:
        return False
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
