"""A host that is cut off in the middle of a run costs that run a lease, and works again when it is back.

Each host is a network namespace with a task controller and a worker; database, broker, API and monitor are beyond its
link.
"""

import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest

from tests import network, postgres, rabbitmq
from tests.acceptance.faults import STEP_PROCESS, Runs, kind_of
from tests.roles import Cluster, Process
from tests.waiting import until

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("hosts")]

LEASE_SECONDS = 4
KILLED_WITHIN_SECONDS = 3.0 * LEASE_SECONDS
BACK_WITHIN_SECONDS = 20.0
MISSED_WITHIN_SECONDS = 25.0
ANSWERED_WITHIN_SECONDS = 45.0
CHUNKS = 8
HELD = 4711
HOLD = f"""
import django
django.setup()
from django.db import connection, transaction
with transaction.atomic(), connection.cursor() as cursor:
    cursor.execute("SELECT pg_advisory_xact_lock({HELD})")
    print("held", flush=True)
    cursor.execute("SELECT pg_sleep(3600)")
"""
"""A controller in the middle of a transaction, that waits for the database's answer."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A host with its processes."""

    host: network.Host
    controller: Process
    worker: Process

    def owns(self, worker: str) -> bool:
        """Say whether this is what the server calls the worker of this host."""
        return worker.startswith(f"{socket.gethostname()}-{self.worker.pid}-")

    def running(self) -> list[str]:
        """Return what runs there for a step."""
        found = []
        for pid in self.host.pids():
            try:
                found.append(kind_of(psutil.Process(pid)))
            except psutil.NoSuchProcess:
                continue
        return [kind for kind in found if kind in {STEP_PROCESS, "tool"}]


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """A platform on two hosts."""

    cluster: Cluster
    stays: Place
    goes: Place
    runs: Runs

    def ask(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with psycopg.connect(self.cluster.database) as connection:
            return connection.execute(question, values).fetchall()

    def happened(self, analysis: int, event: str) -> list[str]:
        """Return to which steps of an analysis something has happened, in order."""
        question = """
            SELECT slug FROM runs_event JOIN runs_step ON runs_step.id = step_id
            JOIN runs_run ON runs_run.id = runs_step.run_id
            WHERE analysis_id = %s AND event = %s ORDER BY runs_event.id
        """
        return [slug for (slug,) in self.ask(question, analysis, event)]

    def is_done(self, analysis: int) -> bool:
        """Say whether nothing of an analysis' run is left to be done."""
        return self.ask("SELECT state FROM runs_run WHERE analysis_id = %s", analysis) == [("succeeded",)]

    def claimed_by(self, place: Place, analysis: int) -> list[str]:
        """Return which steps the worker of a host has claimed."""
        question = """
            SELECT slug, detail->>'worker' FROM runs_event JOIN runs_step ON runs_step.id = step_id
            JOIN runs_run ON runs_run.id = runs_step.run_id WHERE analysis_id = %s AND event = 'claimed'
        """
        return [slug for slug, worker in self.ask(question, analysis) if place.owns(worker)]

    def chunks_of(self, place: Place) -> list[str]:
        """Return which chunks of losses the worker of a host has under way."""
        question = (
            "SELECT slug, worker FROM runs_step WHERE state = 'running' AND starts_with(slug, 'generate-losses-chunk-')"
        )
        return [slug for slug, worker in self.ask(question) if place.owns(worker)]

    def both_compute_or_ended(self, analysis: int) -> bool:
        """Say whether both hosts compute chunks of losses right now, or an analysis has ended."""
        both = self.chunks_of(self.stays) and self.chunks_of(self.goes) and self.goes.running()
        return bool(both) or self.runs.ended(analysis)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory, demo_model: Path) -> Iterator[Hosts]:
    """Two hosts that share a database, a broker, an API and a monitor."""
    if reason := network.why_not():
        pytest.skip(f"There can be no hosts on this machine: {reason}")
    if postgres.binaries() is None or rabbitmq.programme() is None:
        pytest.skip("PostgreSQL or RabbitMQ is not installed: apt-get install postgresql rabbitmq-server")
    folder = tmp_path_factory.mktemp("hosts")
    with ExitStack() as stack:
        net = stack.enter_context(network.network(hosts=2))
        cluster = Cluster(
            folder=folder,
            database=stack.enter_context(postgres.server(address=net.address, subnet=net.subnet)),
            broker=stack.enter_context(rabbitmq.server(address=net.address)),
            address=net.address,
            settings={"QANAT_LEASE_SECONDS": str(LEASE_SECONDS)},
        )
        cluster.prepare()
        for role in (cluster.api(), cluster.role("monitor")):
            stack.enter_context(role)
        stays, goes = (
            Place(
                host=host,
                controller=stack.enter_context(cluster.role("task-controller", home=host.name, within=host.within)),
                worker=stack.enter_context(
                    cluster.worker(demo_model, "--slots", "2", home=host.name, within=host.within)
                ),
            )
            for host in net.hosts
        )
        client = stack.enter_context(cluster.client())
        until(lambda: client.get("models/"), what="the model is registered")
        yield Hosts(cluster=cluster, stays=stays, goes=goes, runs=Runs(client, folder / "runs"))


@contextmanager
def cut_off(place: Place) -> Iterator[None]:
    """Cut a host off for a while."""
    place.host.cut_off()
    try:
        yield
    finally:
        place.host.bring_back()


@contextmanager
def without(process: Process) -> Iterator[None]:
    """Do without a process for a while."""
    process.stop()
    try:
        yield
    finally:
        process.start()


@contextmanager
def cut_off_in_the_middle_of_a_run(hosts: Hosts) -> Iterator[tuple[int, list[str]]]:
    """Cut a host off while both compute chunks of losses; yield the analysis, and the chunks that are lost with it.

    A run that is over too soon to be caught is followed by another one.
    """
    while True:
        analysis = hosts.runs.start(chunks=CHUNKS)
        until(
            partial(hosts.both_compute_or_ended, analysis),
            what="both hosts compute chunks, or the run ends",
            seconds=240,  # on a fresh machine the kernel's functions are compiled now
            every=0.02,
        )
        with cut_off(hosts.goes):
            if lost := hosts.chunks_of(hosts.goes):
                yield analysis, lost
                return
        until(partial(hosts.runs.ended, analysis), what="the run ends")


def test_a_host_that_is_cut_off_costs_a_run_a_lease_and_works_again_when_it_is_back(
    hosts: Hosts, tmp_path: Path
) -> None:
    runs, stays, goes = hosts.runs, hosts.stays, hosts.goes

    with cut_off_in_the_middle_of_a_run(hosts) as (disturbed, lost):
        until(lambda: not goes.running(), what="whoever lost a step ends it", seconds=KILLED_WITHIN_SECONDS)
        until(lambda: {*lost} <= {*hosts.happened(disturbed, "handed back")}, what="the steps are taken back")
        until(lambda: {*lost} <= {*hosts.claimed_by(stays, disturbed)}, what="the other host takes them")
    until(lambda: runs.ended(disturbed), what="the run ends")

    with without(stays.controller):
        undisturbed = runs.start(chunks=CHUNKS)
        until(lambda: hosts.happened(undisturbed, "rung"), what="who is back dispatches", seconds=BACK_WITHIN_SECONDS)
        until(lambda: runs.ended(undisturbed), what="a run that only it dispatches ends")
    assert hosts.claimed_by(goes, undisturbed)
    assert runs.outputs(disturbed, tmp_path) == runs.outputs(undisturbed, tmp_path)
    until(lambda: hosts.is_done(disturbed) and hosts.is_done(undisturbed), what="both runs have tidied up")
    committed = Counter(hosts.happened(disturbed, "committed"))
    assert set(committed.values()) == {1}
    assert set(hosts.happened(undisturbed, "committed")) == set(committed)
    until(lambda: not stays.running() and not goes.running(), what="nothing is left running")


@contextmanager
def standing_still(process: psutil.Process) -> Iterator[None]:
    """Have a process do nothing for a while; its system goes on to acknowledge what is sent to it."""
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def test_a_broker_that_takes_messages_and_says_nothing_keeps_nobody_waiting_and_costs_no_run(hosts: Hosts) -> None:
    port = urlsplit(hosts.cluster.broker).port
    [broker] = [
        psutil.Process(each.pid)
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port
    ]

    with standing_still(broker):
        began = time.monotonic()
        analysis = hosts.runs.start()
        seconds = time.monotonic() - began

    assert seconds < ANSWERED_WITHIN_SECONDS
    until(lambda: hosts.runs.ended(analysis), what="the run ends", seconds=240)


def test_what_a_host_that_is_cut_off_holds_is_free_soon_and_itself_waits_for_no_answer(hosts: Hosts) -> None:
    place = hosts.goes
    command = [*place.host.within, sys.executable, "-c", HOLD]
    told = hosts.cluster.environment(hosts.cluster.folder / place.host.name)
    with (
        subprocess.Popen(command, env=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as holder,
        ExitStack() as stack,
    ):
        stack.callback(holder.kill)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        with cut_off(place):
            until(
                lambda: hosts.ask(f"SELECT pg_try_advisory_lock({HELD})") == [(True,)],
                what="the database misses the host",
                seconds=MISSED_WITHIN_SECONDS,
            )
            _, said = holder.communicate(timeout=MISSED_WITHIN_SECONDS)

    assert "OperationalError" in said
