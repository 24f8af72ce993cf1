"""PostgreSQL, RabbitMQ and Redis from this machine's packages, started for development and for tests.

    python scripts/services.py start        # make services
    python scripts/services.py stop         # make services-stop
    python scripts/services.py install postgresql rabbitmq

Each has a port of its own, and its data in `.services`. Nothing of the system is used but the programmes: no user, no
port and no data directory of the distribution's.
"""

import argparse
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

ROOT: Final = Path(__file__).resolve().parents[1]
HOST: Final = "127.0.0.1"
USER: Final = "qanat"
SYSTEM_USER: Final = "nobody"
"""PostgreSQL refuses to run as root; where root starts it, it runs as this user."""
START_SECONDS: Final = 90.0
LOOK_SECONDS: Final = 0.1
SAFE_PORTS: Final = range(20000, 30000)
"""Below those that systems give to outgoing connections: a server that is started again finds its port free."""


class ServiceFailed(Exception):
    """A service is not installed, or does not start; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Service(ABC):
    """A server whose data lie in a folder that is its own."""

    title: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    """Of Debian; the first that there is."""
    folder: Path
    host: str = HOST
    """The address on which it listens."""

    @staticmethod
    @abstractmethod
    def programme() -> Path | None:
        """Return what starts it, or None where it is not installed."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Its address, with its password."""

    @abstractmethod
    def start(self) -> None:
        """Start it, and wait until it answers; one that runs is left alone.

        Raises:
            ServiceFailed: it does not start.
        """

    @abstractmethod
    def stop(self) -> None:
        """Stop it; its data stay."""

    @property
    def password(self) -> str:
        """The password of its only user."""
        return self._password_file().read_text()

    def _password_file(self) -> Path:
        """Return where the password is kept; it is made at the first start."""
        path = self.folder / "password"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(16))
        return path


@dataclass(frozen=True, kw_only=True)
class PostgreSQL(Service):
    """A PostgreSQL server: on a port with a password, or on a socket in its folder with none."""

    title = "PostgreSQL"
    packages = ("postgresql",)
    port: int | None = None
    guests: str = ""
    """The network from which it may be reached, beside this host's own."""
    options: str = ""
    """More that the server is told."""

    @staticmethod
    def programme() -> Path | None:
        """Return the folder with ``initdb`` and ``postgres``."""
        candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        if found := shutil.which("postgres"):
            candidates.append(Path(found).resolve().parent)
        return next((folder for folder in candidates if (folder / "initdb").exists()), None)

    @property
    def url(self) -> str:
        """The address of an empty database on it."""
        if self.port is None:
            return f"postgresql://{USER}@/postgres?host={self.folder}"
        return f"postgresql://{USER}:{self.password}@{self.host}:{self.port}/postgres"

    def start(self) -> None:
        """See ``Service``; what a hard stop left is recovered first."""
        if not (self.folder / "data" / "PG_VERSION").exists():
            self._make()
        if self._call("pg_ctl", "-D", "data", "status").returncode == 0:
            return
        where = f"listen_addresses='' -c unix_socket_directories={self.folder}"
        if self.port is not None:
            _require_free(self, self.port)
            where = f"listen_addresses={self.host} -c port={self.port} -c unix_socket_directories=''"
        self._do("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", f"-c {where} {self.options}", "start")

    def stop(self, *, mode: str = "fast") -> None:
        """See ``Service``; ``immediate`` is as if the machine had lost its power, but for the disk."""
        if (self.folder / "data").exists():
            self._call("pg_ctl", "-D", "data", "-w", "-m", mode, "stop")

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        authentication = ["--auth=trust"]
        if self.port is not None:
            authentication = ["--auth=scram-sha-256", f"--pwfile={self._password_file()}"]
        if os.getuid() == 0:
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, SYSTEM_USER)
            self._require_way()
        self._do("initdb", "-D", "data", "-U", USER, "--no-sync", *authentication)
        if self.guests:
            with (self.folder / "data" / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {self.guests} scram-sha-256\n")

    def _require_way(self) -> None:
        if self._run(["test", "-w", str(self.folder)], cwd=Path("/")).returncode:
            message = (
                f"PostgreSQL does not run as root, and the user {SYSTEM_USER} may not enter {self.folder}: "
                "clone the repository into a folder that others may enter, or work as another user."
            )
            raise ServiceFailed(message)

    def _do(self, programme: str, *arguments: str) -> None:
        done = self._call(programme, *arguments)
        if done.returncode:
            log = self.folder / "log"
            tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            message = f"PostgreSQL: {programme} failed: {done.stdout}{done.stderr}{tail}"
            raise ServiceFailed(message)

    def _call(self, programme: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        folder = self.programme()
        if folder is None:
            raise ServiceFailed(missing(type(self)))
        return self._run([str(folder / programme), *arguments], cwd=self.folder)

    @staticmethod
    def _run(command: Sequence[str], *, cwd: Path) -> "subprocess.CompletedProcess[str]":
        prefix: list[str] = []
        if os.getuid() == 0:
            prefix = ["setpriv", f"--reuid={SYSTEM_USER}", "--regid=nogroup", "--clear-groups"]
        return subprocess.run([*prefix, *command], cwd=cwd, capture_output=True, text=True, check=False)


@dataclass(frozen=True, kw_only=True)
class Daemon(Service):
    """A server that is a process which we start, and end by its session."""

    port: int
    _started: "list[subprocess.Popen[bytes]]" = field(default_factory=list, init=False, repr=False, compare=False)
    """By this process, which then has to wait for their ends."""

    def start(self) -> None:
        """See ``Service``."""
        if self.pid is not None:
            return
        programme = self.programme()
        if programme is None:
            raise ServiceFailed(missing(type(self)))
        _require_free(self, self.port)
        command, environment = self._prepared(programme)
        with (self.folder / "output").open("wb") as output:
            process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.folder,
            )
        self._started.append(process)
        (self.folder / "pid").write_text(str(process.pid))
        if not _waited_for(self._answers, lambda: process.poll() is None):
            self.kill()
            tail = (self.folder / "output").read_text(errors="replace")[-3000:]
            message = f"{self.title} did not start: {tail}"
            raise ServiceFailed(message)

    def stop(self) -> None:
        """See ``Service``."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without giving it time to write anything down."""
        self._end(signal.SIGKILL)

    @property
    def pid(self) -> int | None:
        """The process, where it runs."""
        if self._started and self._started[-1].poll() is None:
            return self._started[-1].pid
        path = self.folder / "pid"
        pid = int(path.read_text() or 0) if path.exists() else 0
        # Pids come round again: somebody else's process must not be ended.
        return pid if pid and self._marker in _command_line(pid) else None

    def _end(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(pid, number)
        while self._started:
            self._started.pop().wait()
        _waited_for(lambda: self.pid is None, lambda: True)
        (self.folder / "pid").unlink()

    @property
    @abstractmethod
    def _marker(self) -> str:
        """What its command line has that no other process' has."""

    @abstractmethod
    def _prepared(self, programme: Path) -> tuple[Sequence[str], Mapping[str, str]]:
        """Write its configuration; return its command line and what is added to its environment."""

    @abstractmethod
    def _answers(self) -> bool:
        """Say whether it serves."""


@dataclass(frozen=True, kw_only=True)
class RabbitMQ(Daemon):
    """A RabbitMQ server."""

    title = "RabbitMQ"
    packages = ("rabbitmq-server",)
    port: int
    distribution_port: int

    @staticmethod
    def programme() -> Path | None:
        """Return what starts the broker."""
        # The one on Debian's path changes to a user of its own first.
        candidates = [
            Path("/usr/lib/rabbitmq/bin/rabbitmq-server"),
            *map(Path, filter(None, [shutil.which("rabbitmq-server")])),
        ]
        return next((path for path in candidates if path.exists()), None)

    @property
    def url(self) -> str:
        """Its address."""
        return f"amqp://{USER}:{self.password}@{self.host}:{self.port}//"

    def wipe(self) -> None:
        """Remove all queues and messages of one that does not run."""
        shutil.rmtree(self.folder / "mnesia", ignore_errors=True)

    @property
    def _marker(self) -> str:
        return f"-home {self.folder} "

    def _prepared(self, programme: Path) -> tuple[Sequence[str], Mapping[str, str]]:
        configuration = self.folder / "rabbitmq.conf"
        password = self.password
        configuration.touch(mode=0o600)
        configuration.write_text(f"default_user = {USER}\ndefault_pass = {password}\n")
        (self.folder / "plugins").write_text("[].\n")
        return [str(programme)], {
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"{USER}{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": self.host,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(configuration),
            # The script becomes the broker rather than waiting for it.
            "RUNNING_UNDER_SYSTEMD": "true",
            # Two schedulers are enough, and do not spin.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def _answers(self) -> bool:
        # It listens when all else is up, and answers the protocol's first word with the offer of a connection.
        return _said(self.host, self.port, b"AMQP\x00\x00\x09\x01").startswith(b"\x01")


@dataclass(frozen=True, kw_only=True)
class Redis(Daemon):
    """Valkey where the distribution has it, else Redis."""

    title = "Redis"
    packages = ("valkey-server", "redis-server")

    @staticmethod
    def programme() -> Path | None:
        """Return the server."""
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        return Path(found) if found else None

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://:{self.password}@{self.host}:{self.port}/0"

    @property
    def _marker(self) -> str:
        return f"{self.host}:{self.port}"

    def _prepared(self, programme: Path) -> tuple[Sequence[str], Mapping[str, str]]:
        configuration = self.folder / "redis.conf"
        password = self.password
        configuration.touch(mode=0o600)
        configuration.write_text(f"bind {self.host}\nport {self.port}\ndir {self.folder}\nrequirepass {password}\n")
        return [str(programme), str(configuration)], {}

    def _answers(self) -> bool:
        return _said(self.host, self.port, f"AUTH {self.password}\r\n".encode()).startswith(b"+OK")


KINDS: Final[Mapping[str, type[Service]]] = {"postgresql": PostgreSQL, "rabbitmq": RabbitMQ, "redis": Redis}


def of_repository() -> dict[str, Service]:
    """Return the services that `make services` starts."""
    home = ROOT / ".services"
    return {
        "postgresql": PostgreSQL(folder=home / "postgresql", port=15432),
        "rabbitmq": RabbitMQ(folder=home / "rabbitmq", port=15672, distribution_port=15673),
        "redis": Redis(folder=home / "redis", port=16379),
    }


def free_ports(number: int, *, host: str = HOST) -> list[int]:
    """Return ports that nobody uses at this moment, and that the system gives to no outgoing connection later."""
    found: list[int] = []
    while len(found) < number:
        port = SAFE_PORTS.start + secrets.randbelow(len(SAFE_PORTS))
        with socket.socket() as probe, suppress(OSError):
            probe.bind((host, port))
            found += [port] if port not in found else []
    return found


def install(kinds: Sequence[str]) -> bool:
    """Install what is missing, where that can be done; say what it is where not, and return whether all is there."""
    needed = [KINDS[name] for name in kinds if KINDS[name].programme() is None]
    if needed and os.getuid() == 0 and shutil.which("apt-get"):
        _apt("update")
        for kind in needed:
            if kind is PostgreSQL:
                _make_no_cluster()
            any(map(_install, kind.packages))
    left = [kind for kind in needed if kind.programme() is None]
    for kind in left:
        print(missing(kind), file=sys.stderr)
    return not left


def missing(kind: type[Service]) -> str:
    """Say that a service is not installed, and how it gets so."""
    names = " or ".join(kind.packages)
    return f"{kind.title} is not installed: install {names} (Debian and Ubuntu: apt-get install, as root)."


def _install(package: str) -> bool:
    return _apt("install", "--no-install-recommends", package)


def _apt(*arguments: str) -> bool:
    # RUNLEVEL keeps the distribution's own server from being started.
    environment = {**os.environ, "RUNLEVEL": "1", "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-qq", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{' '.join(command)}: {done.stderr.strip()}", file=sys.stderr)
    return done.returncode == 0


def _make_no_cluster() -> None:
    """Keep Debian from making and starting a server of its own."""
    configuration = Path("/etc/postgresql-common/createcluster.conf")
    if not configuration.exists():
        configuration.parent.mkdir(parents=True, exist_ok=True)
        configuration.write_text("create_main_cluster = false\n")


def _require_free(service: Service, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((service.host, port))
        except OSError as error:
            message = (
                f"{service.title}: port {port} of {service.host} cannot be used ({error.strerror}): "
                "end what listens there."
            )
            raise ServiceFailed(message) from error


def _said(host: str, port: int, question: bytes) -> bytes:
    """Return the beginning of what a server answers; nothing where it does not."""
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(question)
            return connection.recv(64)
    except OSError:
        return b""


def _waited_for(holds: Callable[[], bool], worth_it: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while not holds():
        if not worth_it() or time.monotonic() > deadline:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def _command_line(pid: int) -> str:
    """Return the command line of a process; nothing where there is none."""
    path = Path(f"/proc/{pid}/cmdline")
    if path.parent.parent.joinpath("self").exists():
        try:
            return path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    return subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout


def start() -> None:
    """Start all, and print how the platform is told of them.

    Raises:
        ServiceFailed: one is not installed, or does not start.
    """
    if not install(list(KINDS)):
        message = "Install what is missing, see above, and call make services again."
        raise ServiceFailed(message)
    services = of_repository()
    for service in services.values():
        service.start()
    print(f"# PostgreSQL, RabbitMQ and Redis run until `make services-stop`; their data are in {ROOT / '.services'}.")
    print(f"export QANAT_DATABASE_URL={services['postgresql'].url}")
    print(f"export QANAT_BROKER_URL={services['rabbitmq'].url}")
    print(f"# or, in RabbitMQ's place: export QANAT_BROKER_URL={services['redis'].url}")


def stop() -> None:
    """Stop all; their data stay."""
    for service in of_repository().values():
        service.stop()


def main() -> int:
    """Do what is asked; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("start", help="start all, and say how to use them")
    verbs.add_parser("stop", help="stop all")
    verbs.add_parser("install", help="install the packages").add_argument("kind", nargs="+", choices=list(KINDS))
    options = parser.parse_args()
    try:
        match options.verb:
            case "install":
                return 0 if install(options.kind) else 1
            case "start":
                start()
            case "stop":
                stop()
    except ServiceFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
