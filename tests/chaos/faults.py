"""What is done to the platform: each kind a method, each time a record of what was hit and when.

Kinds come in a shuffled order, each once before any comes again, so that even a short run sees most of them.
"""

import contextlib
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil
import psycopg
from celery import Celery
from kombu.exceptions import OperationalError as BrokerUnavailable
from services import ServiceFailed

from qanat.contract import tasks
from tests.acceptance.faults import STEP_PROCESS, ZYGOTE, kind_of
from tests.chaos.cluster import APIS, CONTROLLERS, INTERNAL, MONITORS, WORKERS, Cluster
from tests.chaos.oracle import OUT, Oracle

RUN_DIR: Final = re.compile(r"run-(\d+)-([\w-]+?)-(\d+)-[0-9a-f]{8}$")
"""Run, slug and fence in the name of an attempt's directory."""
LONGER_THAN_A_LEASE_SECONDS: Final = 2.0
AWAY_SECONDS: Final = (1.0, 4.0)
DISK_SECONDS: Final = (2.0, 5.0)
LATE_SECONDS: Final = (2.0, 10.0)
DOORBELLS: Final = 8
LOOK_FOR_SECONDS: Final = 3.0
"""How long somebody who comes and goes, such as a tool of a pipeline, is waited for."""


def now() -> datetime:
    """Return the time, as the platform's events have it."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Hit:
    """Whom a fault can have cost an attempt: a worker's supervisor, or one attempt alone."""

    pid: int = 0
    run_id: int = 0
    slug: str = ""
    fence: int = 0


@dataclass(kw_only=True)
class Fault:
    """Something that was done to the platform."""

    kind: str
    at: datetime
    victim: str = ""
    until: datetime | None = None
    """When what was away was back; the same as ``at`` where nothing was."""
    hit: Hit | None = None
    """None: it may have cost any attempt, or none."""


@dataclass
class Chaos:
    """Does violence to a platform, by a seed."""

    cluster: Cluster
    oracle: Oracle
    seed: int
    only: tuple[str, ...] = ()
    """Kinds; none are all."""
    faults: list[Fault] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    """What did not come back as it should."""
    _threads: list[threading.Thread] = field(default_factory=list)
    _taken: set[str] = field(default_factory=set)
    """What is away, or stands still, at this moment."""
    _deck: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - to be repeated
        self._celery = Celery("chaos", broker=self.cluster.broker.url, amqp="qanat.amqp:Amqp", set_as_current=False)
        self._kinds = {name: do for name, do in self._all() if not self.only or name in self.only}

    @property
    def kinds(self) -> list[str]:
        """What can be done here."""
        return list(self._kinds)

    def strike(self) -> Fault | None:
        """Do the next of the kinds; return None where nothing was to be hit."""
        if not self._deck:
            self._deck = self.kinds
            self._random.shuffle(self._deck)
        kind = self._deck.pop()
        try:
            fault = self._kinds[kind]()
        except psutil.NoSuchProcess:
            return None  # It ended by itself while it was being looked at.
        if fault is not None:
            self.faults.append(fault)
            with (self.cluster.logs / "faults.log").open("a") as log:
                log.write(f"{fault.at} {fault.kind} {fault.victim} {fault.hit or ''}\n")
        return fault

    def end(self) -> None:
        """Wait until everything is back."""
        for thread in self._threads:
            thread.join()

    def counts(self) -> Counter[str]:
        """Return how often each kind came."""
        return Counter(fault.kind for fault in self.faults)

    def _all(self) -> Iterator[tuple[str, Callable[[], Fault | None]]]:
        for role, members in {
            "api": APIS,
            "task-controller": CONTROLLERS,
            "monitor": MONITORS,
            "beat": ("beat",),
            "websocket": ("websocket",),
            "internal-worker": (INTERNAL,),
            "worker": WORKERS,
        }.items():
            yield f"kill {role}", self._killing(f"kill {role}", members)
        for kind in (ZYGOTE, STEP_PROCESS, "tool"):
            name = {ZYGOTE: "zygote", STEP_PROCESS: "runner"}.get(kind, kind)
            yield f"kill {name}", self._killing_of_a_step(f"kill {name}", kind)
        for role, members in {
            "api": APIS,
            "task-controller": CONTROLLERS,
            "monitor": MONITORS,
            "worker": WORKERS,
        }.items():
            yield f"stop {role}", self._stopping(f"stop {role}", members)
        for name in ("database", "broker", "api"):
            yield f"reset {name}", self._resetting(name)
        yield "broker lost", self._broker_lost
        yield "database lost", self._database_lost
        yield "doorbells twice", self._doorbells_twice
        if self.cluster.small_disks:
            yield "disk full", self._disk_full

    def _killing(self, kind: str, members: tuple[str, ...]) -> Callable[[], Fault | None]:
        def kill() -> Fault | None:
            member = self._random.choice(members)
            found = self.cluster.processes(member)
            # Of an API the process that keeps the others, or one of these.
            victim = self._random.choice(found) if member in APIS and found else next(iter(found), None)
            if victim is None or member in self._taken:
                return None
            hit = Hit(pid=victim.pid) if member in WORKERS else None
            return self._kill(victim, Fault(kind=kind, at=now(), victim=member, hit=hit))

        return kill

    def _killing_of_a_step(self, kind: str, wanted: str) -> Callable[[], Fault | None]:
        def kill() -> Fault | None:
            deadline = time.monotonic() + LOOK_FOR_SECONDS
            while time.monotonic() < deadline:
                worker = self._random.choice(WORKERS)
                found = self.cluster.processes(worker)
                victims = [process for process in found if kind_of(process) == wanted]
                if victims:
                    victim = self._random.choice(victims)
                    hit = Hit(pid=found[0].pid) if wanted == ZYGOTE else _attempt_of(victim)
                    name = _name(victim)
                    return self._kill(victim, Fault(kind=kind, at=now(), victim=f"{worker}: {name}", hit=hit))
            return None

        return kill

    @staticmethod
    def _kill(victim: psutil.Process, fault: Fault) -> Fault | None:
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            return None
        fault.until = fault.at
        return fault

    def _stopping(self, kind: str, members: tuple[str, ...]) -> Callable[[], Fault | None]:
        def stop() -> Fault | None:
            member = self._random.choice(members)
            pid = self.cluster.keepers[member].pid
            if pid is None or member in self._taken:
                return None
            # Of an API all processes, for the first only keeps the others.
            victims = self.cluster.processes(member) if member in APIS else [psutil.Process(pid)]
            hit = Hit(pid=pid) if member in WORKERS else None
            fault = Fault(kind=kind, at=now(), victim=member, hit=hit)
            for victim in victims:
                _signal(victim, signal.SIGSTOP)
            seconds = self.cluster.lease_seconds + LONGER_THAN_A_LEASE_SECONDS

            def go_on() -> None:
                for victim in victims:
                    _signal(victim, signal.SIGCONT)

            return self._lasting(fault, member, seconds=seconds, then=go_on)

        return stop

    def _resetting(self, name: str) -> Callable[[], Fault | None]:
        def reset() -> Fault:
            at = now()
            dropped = self.cluster.proxies[name].drop()
            return Fault(kind=f"reset {name}", at=at, until=at, victim=f"{dropped} connections")

        return reset

    def _broker_lost(self) -> Fault | None:
        if "broker" in self._taken:
            return None
        fault = Fault(kind="broker lost", at=now())
        self.cluster.broker.kill()
        self.cluster.broker.wipe()
        return self._lasting(fault, "broker", seconds=self._away(), then=self.cluster.broker.start)

    def _database_lost(self) -> Fault | None:
        if "database" in self._taken:
            return None
        fault = Fault(kind="database lost", at=now())
        self.cluster.database.stop(mode="immediate")
        return self._lasting(fault, "database", seconds=self._away(), then=self.cluster.database.start)

    def _disk_full(self) -> Fault | None:
        worker = WORKERS[-1]
        pid = self.cluster.keepers[worker].pid
        if "disk" in self._taken or pid is None:
            return None
        fault = Fault(kind="disk full", at=now(), victim=worker, hit=Hit(pid=pid))
        filler = self.cluster.work_dir(worker) / "filler"
        with contextlib.suppress(OSError), filler.open("wb") as stream:
            while True:
                stream.write(b"\0" * 2**20)
        return self._lasting(fault, "disk", seconds=self._random.uniform(*DISK_SECONDS), then=filler.unlink)

    def _doorbells_twice(self) -> Fault | None:
        try:
            rows = self.oracle.rows(OUT)
        except psycopg.OperationalError:
            return None
        if not rows or "broker" in self._taken:
            return None
        chosen = self._random.sample(rows, min(DOORBELLS, len(rows)))
        fault = Fault(kind="doorbells twice", at=now(), until=now(), victim=f"{len(chosen)} doorbells")

        def ring() -> None:
            for row in chosen:
                task = tasks.RECORD_STEP if row["server_side"] else tasks.RUN_STEP
                kwargs = {"step_id": row["id"], "fence": row["fence"]}
                with contextlib.suppress(OSError, BrokerUnavailable):
                    self._celery.send_task(task, kwargs=kwargs, queue=row["queue"], ignore_result=True, retry=False)

        ring()
        late = threading.Timer(self._random.uniform(*LATE_SECONDS), ring)
        late.daemon = True
        late.start()
        self._threads.append(late)
        return fault

    def _lasting(self, fault: Fault, what: str, *, seconds: float, then: Callable[[], object]) -> Fault:
        """Have something come back after a while."""
        self._taken.add(what)

        def come_back() -> None:
            threading.Event().wait(seconds)
            try:
                then()
            except (OSError, ServiceFailed) as error:
                self.troubles.append(f"{fault.kind} is not over: {error}")
            fault.until = now()
            self._taken.discard(what)

        thread = threading.Thread(target=come_back, name=f"{fault.kind}, over", daemon=True)
        thread.start()
        self._threads.append(thread)
        return fault

    def _away(self) -> float:
        return self._random.uniform(*AWAY_SECONDS)


def _attempt_of(process: psutil.Process) -> Hit | None:
    """Return the attempt that a process works for, by where it works."""
    with contextlib.suppress(psutil.Error, OSError):
        for place in (process.cwd(), process.environ().get("TMPDIR", "")):
            for folder in (Path(place), *Path(place).parents):
                if found := RUN_DIR.match(folder.name):
                    return Hit(run_id=int(found[1]), slug=found[2], fence=int(found[3]))
    return None


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return str(process.name())
    return "gone"


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)
