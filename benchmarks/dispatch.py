"""How fast are a thousand queued runs worked off, and what does a step cost, beside a plain Celery canvas?

PostgreSQL that waits for the disk, RabbitMQ, and the server's roles as processes of their own: the API with two, a task
controller, a monitor. V2 runs of inputs over several models, of random priorities, and a worker that does nothing in a
step: it claims and commits by the worker protocol, so what is measured is the platform alone.

First single runs while nearly all slots are free: how long until a step that has become ready is claimed, and until its
doorbell is there. Then many runs that are queued before anybody works, a tenth of them and all: planning a run, steps
dispatched and committed a second, the processor time of each part for a step, statements and transactions for a step.
With the number of queued runs these must not grow. Doorbells must come in the exact order of priority and submission
among the runs of a model; where they do not, the exit code is 1.

The rival does the same sub-tasks as a chain with a chord for each run, results in the same PostgreSQL, joined by
looking once a second. It keeps no status, no lease and no record of who did what, and knows no priorities.

    python benchmarks/dispatch.py
    python benchmarks/dispatch.py --runs 50 --single-runs 10      a look, in half a minute
    python benchmarks/dispatch.py --statements 12                 with the statements that take the database longest
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg
from kombu import Connection
from losses import ROOT

from api import BRACKETS, Findings, Site, cpu, p95

sys.path.insert(0, str(ROOT))
from tests import live_server, postgres, rabbitmq

from qanat.contract import queues
from qanat.contract.statuses import RunKind, RunMode
from qanat.domain import run_plan

PROCESSES: Final = 2
STEPS_A_SECOND: Final = 100
PARTS: Final = Path(__file__).with_name("dispatching")
LOOK_SECONDS: Final = 0.25
RIVAL_PROCESSES: Final = 4
PAUSE_SECONDS: Final = 0.25
Processes = Callable[[], list[psutil.Process]]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured."""

    runs: int
    single_runs: int
    models: int
    slots: int
    chunks: int
    statements: int

    @property
    def queues(self) -> list[str]:
        """Of the models."""
        mode = RunMode.V2
        return [
            queues.model_queue(supplier_id="Supplier", model_id=f"Model{n}", version_id="1", run_mode=mode)
            for n in range(self.models)
        ]

    @property
    def steps(self) -> int:
        """Of a run."""
        plan = run_plan.plan(kind=RunKind.INPUTS, mode=RunMode.V2, lookup_chunks=self.chunks, loss_chunks=1)
        return len(list(plan.steps()))


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where all is played: the platform's parts that run throughout."""

    place: Site
    broker: str
    environment: dict[str, str]
    folder: Path
    monitor: int
    sizes: Sizes
    findings: Findings

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with psycopg.connect(self.place.database, autocommit=True) as connection:
            return connection.execute(query, values).fetchall()

    @property
    def rabbit(self) -> list[psutil.Process]:
        """The broker's processes."""
        port = int(self.broker.rpartition(":")[2].strip("/"))
        listeners = (
            one.pid
            for one in psutil.net_connections("tcp")
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port
        )
        return [psutil.Process(pid) for pid in set(listeners) if pid]

    @contextmanager
    def controller(self) -> Iterator[int]:
        """Run a task controller."""
        log = self.folder / "controller.log"
        ready = lambda: consumers(self.broker, queues.TASK_CONTROLLER) > 0  # noqa: E731 - a condition
        with live_server.role("task-controller", log=log, environment=self.environment, options=[], ready=ready) as pid:
            yield pid

    @contextmanager
    def worker(self) -> Iterator[tuple[int, list[tuple[int, float]]]]:
        """Run the worker; the list holds, when it has ended, which doorbells came when."""
        options = {
            "port": self.place.live.port,
            "key": (self.folder / "worker_key").read_text().strip(),
            "slots": self.sizes.slots,
            "broker": self.broker,
            "queues": self.sizes.queues,
        }
        told = {**self.environment, "NOOP_WORKER": json.dumps(options)}
        command = [sys.executable, str(PARTS / "worker.py")]
        process = subprocess.Popen(command, env=told, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        received: list[tuple[int, float]] = []
        try:
            yield process.pid, received
        finally:
            process.terminate()
            received += json.loads(process.communicate(timeout=30)[0].strip().splitlines()[-1])

    def submit(self, runs: int, *, pause: float = 0.0) -> float:
        """Submit runs; return the processor time of one, in ms, in the process that takes the requests."""
        sizes = self.sizes
        command = [sys.executable, str(PARTS / "submit.py"), "--models", str(sizes.models), "--runs", str(runs)]
        command += ["--chunks", str(sizes.chunks), "--pause", str(pause)]
        done = subprocess.run(command, env=self.environment, check=True, stdout=subprocess.PIPE, text=True)
        return float(done.stdout)

    def wait_until_none(self, *states: str) -> int:
        """Wait until no run is in any of these states; return the largest number of connections that was seen."""
        most = 0
        with psycopg.connect(self.place.database, autocommit=True) as connection:
            while True:
                left, clients = connection.execute(
                    "SELECT (SELECT count(*) FROM runs_run WHERE state = ANY(%s)), (SELECT count(*) FROM"
                    " pg_stat_activity WHERE backend_type = 'client backend') - 1",
                    [list(states)],
                ).fetchone() or (0, 0)
                most = max(most, int(clients))
                if not left:
                    return most
                time.sleep(LOOK_SECONDS)


@contextmanager
def stage(folder: Path, sizes: Sizes) -> Iterator[Stage]:
    """Start what runs throughout."""
    with postgres.server(durable=True, statistics=True) as database, rabbitmq.server() as broker:
        told = {"QANAT_DATABASE_URL": database, "QANAT_BROKER_URL": broker, "QANAT_API_PROCESSES": str(PROCESSES)}
        with live_server.serving(folder, told) as live:
            environment = live_server.environment(folder, told)
            records = lambda: consumers(broker, queues.V2_RECORDS) > 0  # noqa: E731 - a condition
            monitor = live_server.role(
                "monitor", log=folder / "monitor.log", environment=environment, options=[], ready=records
            )
            with monitor as pid:
                found = Stage(
                    place=Site(live=live, database=database, token=live.token),
                    broker=broker,
                    environment=environment,
                    folder=folder,
                    monitor=pid,
                    sizes=sizes,
                    findings=Findings(),
                )
                with psycopg.connect(database, autocommit=True) as connection:
                    connection.execute("CREATE EXTENSION pg_stat_statements")
                    connection.execute("CREATE DATABASE rival")
                yield found


def consumers(broker: str, queue: str) -> int:
    """Return how many listen to a queue."""
    with Connection(broker) as connection:
        channel: Any = connection.channel()
        try:
            return int(channel.queue_declare(queue=queue, passive=True).consumer_count)
        except connection.channel_errors:
            return 0


def single(at: Stage) -> None:
    """Measure how long steps wait while slots are free."""
    with at.controller(), at.worker() as (_, received):
        at.submit(at.sizes.single_runs, pause=PAUSE_SECONDS)
        at.wait_until_none("submitted", "active")
    came: dict[int, float] = {}
    for step, moment in received:
        came.setdefault(step, moment)
    rows = at.rows(
        "SELECT e.step_id, extract(epoch FROM min(e.at) FILTER (WHERE event = 'parents done'))::float,"
        " extract(epoch FROM min(e.at) FILTER (WHERE event = 'rung'))::float,"
        " extract(epoch FROM min(e.at) FILTER (WHERE event = 'claimed'))::float"
        " FROM runs_event e JOIN runs_step s ON s.id = e.step_id WHERE NOT s.server_side GROUP BY e.step_id"
    )
    waits = [claimed - ready for _, ready, _, claimed in rows]
    doorbells = [came[step] - (rung or ready) for step, ready, rung, _ in rows]
    print(f"\n{at.sizes.single_runs} runs, one each {PAUSE_SECONDS} s; {at.sizes.models} x {at.sizes.slots} slots")
    for what, values in (("ready until claimed", waits), ("rung until the worker has it", doorbells)):
        at.findings.note(f"{what}: p50", statistics.median(values) * 1e3, "ms")
        at.findings.note(f"{what}: p95", p95(values) * 1e3, "ms")


@dataclass(frozen=True, kw_only=True)
class Worked:
    """What working off queued runs took, for a step: processor times in ms."""

    cpu: dict[str, float]
    steps_a_second: float
    statements: float
    database_ms: float
    transactions: float
    connections: int


def queued(at: Stage, runs: int) -> tuple[Worked, bool]:
    """Queue runs, plan them, work them off; say too whether the order was exact."""
    print(f"\n{runs} queued runs")
    say = at.findings.note
    (first,) = at.rows("SELECT coalesce(max(id), 0) FROM runs_run")[0]
    say(f"{runs} runs: submitting one, processor time", at.submit(runs), "ms")
    database, begun = cpu(at.place.postgres), time.monotonic()
    with at.controller() as controller:
        at.wait_until_none("submitted")
        own = psutil.Process(controller)
        say(f"{runs} runs: planning one, wall, the controller's start included", per(begun, runs), "ms")
        say(f"{runs} runs: planning one, processor time of PostgreSQL", per_cpu(at, database, runs), "ms")
        with at.worker() as (worker, received):
            parts: dict[str, Processes] = {
                "API": lambda: at.place.server,
                "task controller": lambda: [own],
                "monitor": lambda: [psutil.Process(at.monitor)],
                "PostgreSQL": lambda: at.place.postgres,
                "RabbitMQ": lambda: at.rabbit,
                "worker": lambda: [psutil.Process(worker)],
            }
            before = {name: cpu(of()) for name, of in parts.items()}
            at.rows("SELECT 1 FROM pg_stat_statements_reset()")
            (commits,) = at.rows("SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres'")[0]
            connections = at.wait_until_none("submitted", "active")
            spent = {name: cpu(of()) - before[name] for name, of in parts.items()}
            (committed,) = at.rows("SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres'")[0]
            found = at.rows(
                "SELECT query, calls, total_exec_time, rows, shared_blks_hit FROM pg_stat_statements s"
                " JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = 'postgres' ORDER BY total_exec_time DESC"
            )
    asked = [row for row in found if not row[0].upper().startswith(BRACKETS) and "pg_stat" not in row[0]]
    steps = runs * at.sizes.steps
    (seconds,) = at.rows(
        "SELECT extract(epoch FROM max(e.at) - min(e.at) FILTER (WHERE e.event = 'claimed'))::float FROM runs_event e"
        " WHERE e.step_id IS NOT NULL AND e.run_id > %s",
        first,
    )[0]
    worked = Worked(
        cpu={name: value / steps * 1e3 for name, value in spent.items()},
        steps_a_second=steps / seconds,
        statements=sum(row[1] for row in asked) / steps,
        database_ms=sum(row[2] for row in asked) / steps,
        transactions=(committed - commits) / steps,
        connections=connections,
    )
    report(at, runs, worked)
    for query, calls, total, rows, blocks in asked[: at.sizes.statements]:
        print(f"    {calls / steps:6.2f} calls, {total / steps:6.3f} ms, {blocks / calls:7.0f} blocks,", end=" ")
        print(f"{rows / calls:6.1f} rows: {' '.join(query.split())[:400]}")
    return worked, exact(at, first, received)


def per(begun: float, count: int) -> float:
    """Return the time since then for each, in ms."""
    return (time.monotonic() - begun) / count * 1e3


def per_cpu(at: Stage, before: float, count: int) -> float:
    """Return the database's processor time since then for each, in ms."""
    return (cpu(at.place.postgres) - before) / count * 1e3


def report(at: Stage, runs: int, worked: Worked) -> None:
    """Print it."""
    say, judge = at.findings.note, at.findings.judge
    for name, value in worked.cpu.items():
        say(f"{runs} runs: processor time of a step, {name}", value, "ms")
    total = sum(worked.cpu.values())
    say(f"{runs} runs: processor time of a step, all", total, "ms")
    say(f"{runs} runs: statements for a step", worked.statements, "")
    say(f"{runs} runs: their time in the database", worked.database_ms, "ms")
    say(f"{runs} runs: transactions for a step", worked.transactions, "")
    say(f"{runs} runs: connections to the database, at most", worked.connections, "")
    cores = os.cpu_count() or 1
    judge(f"{runs} runs: steps a second", worked.steps_a_second, STEPS_A_SECOND, "/s", at_least=True)
    judge(f"{runs} runs: that {cores} free cores allow", cores / total * 1e3, STEPS_A_SECOND, "/s", at_least=True)


def exact(at: Stage, first: int, received: Sequence[tuple[int, float]]) -> bool:
    """Say whether the first doorbells of the runs of each model came in the order of priority, then submission.

    As many steps are claimed at once as there are slots, over several connections, so claims may overtake one another;
    but never more of them than doorbells may be out.
    """
    rows = at.rows(
        "SELECT s.id, r.id, r.queue, r.priority, (SELECT min(e.id) FROM runs_event e WHERE e.step_id = s.id AND"
        " e.event = 'claimed') FROM runs_step s JOIN runs_run r ON r.id = s.run_id WHERE s.position = 0 AND r.id > %s",
        first,
    )
    place = {step: number for number, (step, _) in reversed(list(enumerate(received)))}
    models: dict[str, list[tuple[int, int, int, int]]] = defaultdict(list)
    for step, run, queue, priority, claimed in rows:
        models[queue].append((-priority, run, place[step], claimed))
    inversions = overtaken = 0
    for ordered in map(sorted, models.values()):
        came, claims = [row[2] for row in ordered], [row[3] for row in ordered]
        inversions += sum(later < sooner for sooner, later in itertools.pairwise(came))
        for number, claim in enumerate(claims):
            overtaken = max(overtaken, sum(other < claim for other in claims[number + 1 :]))
    print(f"  order of first doorbells: {'exact' if not inversions else f'{inversions} INVERSIONS'}", end="; ")
    print(f"of {len(rows)} first claims none was overtaken by more than {overtaken} less urgent ones")
    return not inversions and overtaken <= at.sizes.slots


def rival(at: Stage, runs: int) -> dict[str, float]:
    """Have the rival do as many; return its processor time for a step and its steps a second."""
    print(f"\n{runs} runs as Celery canvases")
    database = at.place.database.replace("/postgres?", "/rival?")
    told = {
        **at.environment,
        "RIVAL_BROKER": at.broker,
        "RIVAL_RESULTS": f"db+{database.replace('postgresql://', 'postgresql+psycopg://')}",
        "RIVAL_QUEUES": json.dumps([f"rival-{name}" for name in at.sizes.queues]),
        "RIVAL_CHUNKS": str(at.sizes.chunks),
        "C_FORCE_ROOT": "1",
    }
    send = [sys.executable, str(PARTS / "rival.py"), str(runs), str(at.sizes.chunks)]
    sent = subprocess.run(send, env=told, check=True, stdout=subprocess.PIPE, text=True)
    ends = json.loads(sent.stdout)
    listens = ["celery", "rival-records", *(f"rival-{name}" for name in at.sizes.queues)]
    command = [sys.executable, "-m", "celery", "-A", "rival", "worker", "-c", str(RIVAL_PROCESSES), "-Q"]
    log = (at.folder / "rival.log").open("wb")
    worker = subprocess.Popen(
        [*command, ",".join(listens), "--loglevel", "WARNING"], cwd=PARTS, env=told, stdout=log, stderr=log
    )
    try:
        while consumers(at.broker, listens[-1]) == 0:
            assert worker.poll() is None, (at.folder / "rival.log").read_text()
            time.sleep(LOOK_SECONDS)
        own = psutil.Process(worker.pid)
        parts: tuple[Processes, ...] = (
            lambda: [own, *own.children(recursive=True)],
            lambda: at.place.postgres,
            lambda: at.rabbit,
        )
        before, begun = [cpu(of()) for of in parts], time.monotonic()
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("SET client_min_messages = 'warning'")
            done = 0
            while done < runs:
                time.sleep(LOOK_SECONDS)
                there = connection.execute("SELECT to_regclass('celery_taskmeta') IS NOT NULL").fetchone()
                if there and there[0]:
                    query = "SELECT count(*) FROM celery_taskmeta WHERE status = 'SUCCESS' AND task_id = ANY(%s)"
                    (done,) = connection.execute(query, [ends]).fetchone() or (0,)
        seconds = time.monotonic() - begun
        spent = [cpu(of()) - start for of, start in zip(parts, before, strict=True)]
    finally:
        worker.terminate()
        worker.wait(30)
        log.close()
    steps = runs * at.sizes.steps
    for name, value in zip(("its processes", "PostgreSQL", "RabbitMQ"), spent, strict=True):
        at.findings.note(f"rival: processor time of a step, {name}", value / steps * 1e3, "ms")
    return {"cpu": sum(spent) / steps * 1e3, "steps a second": steps / seconds}


def main() -> int:
    """Measure and print; 1 where the order was not exact."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--single-runs", type=int, default=40)
    parser.add_argument("--models", type=int, default=5)
    parser.add_argument("--slots", type=int, default=4, help="of each model")
    parser.add_argument("--chunks", type=int, default=2, help="of each run's lookup")
    parser.add_argument("--statements", type=int, default=0, help="print so many that take the database longest")
    parser.add_argument("--without-rival", action="store_true")
    given = vars(parser.parse_args())
    against = not given.pop("without_rival")
    if postgres.binaries() is None or rabbitmq.programme() is None:
        print("PostgreSQL or RabbitMQ is not installed: apt-get install postgresql rabbitmq-server")
        return 0
    sizes = Sizes(**given)
    with tempfile.TemporaryDirectory(prefix="qanat-dispatch-") as temporary, stage(Path(temporary), sizes) as at:
        single(at)
        few, few_exact = queued(at, max(1, sizes.runs // 10))
        many, many_exact = queued(at, sizes.runs)
        growth = sum(many.cpu.values()) / sum(few.cpu.values())
        at.findings.note("processor time of a step, all runs to a tenth of them", growth, "")
        if against:
            theirs = rival(at, sizes.runs)
            for what, ours in (("cpu", sum(many.cpu.values())), ("steps a second", many.steps_a_second)):
                print(f"  {what}: ours {ours:.1f}, Celery's {theirs[what]:.1f}: ratio {ours / theirs[what]:.2f}")
    return 0 if few_exact and many_exact else 1


if __name__ == "__main__":
    sys.exit(main())
