"""A host that is cut off from all others in the middle of a run costs that run a lease, and works again when it is back.

Each host is a network namespace with a task controller and a worker; database, broker, API and monitor are beyond its link.
"""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests import network, postgres, rabbitmq
from tests.acceptance.faults import STEP_PROCESS, Runs, kind_of, wait
from tests.roles import Cluster, Process
from tests.waiting import until

import psutil

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("hosts")]

LEASE_SECONDS = 4
CHUNKS = 8


@dataclass(frozen=True, kw_only=True)
class Place:
    """A host with its processes."""

    host: network.Host
    controller: Process
    worker: Process

    @property
    def name(self) -> str:
        """What the server's name for the worker begins with."""
        return f"{socket.gethostname()}-{self.worker.pid}-"

    def busy(self) -> list[int]:
        """Return the processes of steps that run there."""
        return [pid for pid in self.host.pids() if kind_of_pid(pid) in {STEP_PROCESS, "tool"}]


def kind_of_pid(pid: int) -> str:
    try:
        return kind_of(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return ""


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """A platform on several hosts."""

    cluster: Cluster
    places: list[Place]
    runs: Runs

    def events(self, analysis: int, event: str) -> list[tuple[str, str]]:
        """Return step and worker of each event of a kind of an analysis' runs."""
        question = """
            SELECT step.slug, coalesce(event.detail->>'worker', '') FROM runs_event AS event
            JOIN runs_step AS step ON step.id = event.step_id JOIN runs_run AS run ON run.id = event.run_id
            WHERE run.analysis_id = %s AND event.event = %s ORDER BY event.id
        """
        with psycopg.connect(self.cluster.database) as connection:
            return connection.execute(question, [analysis, event]).fetchall()

    def at_work(self) -> dict[str, list[str]]:
        """Return the chunks of losses that run, by worker."""
        question = "SELECT worker, array_agg(slug) FROM runs_step WHERE state = 'running' AND slug LIKE '%losses-chunk%' GROUP BY worker"
        with psycopg.connect(self.cluster.database) as connection:
            return dict(connection.execute(question).fetchall())


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory, demo_model: Path) -> Iterator[Hosts]:
    """Two hosts that share a database, a broker and an API."""
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
        places = []
        for number, host in enumerate(net.hosts):
            home, name = f"host-{number}", f"host-{number}"
            controller = cluster.role("task-controller", home=home, within=host.within)
            worker = cluster.worker(demo_model, "--slots", "2", home=home, within=host.within)
            stack.enter_context(controller)
            stack.enter_context(worker)
            places.append(Place(host=host, controller=controller, worker=worker))
        client = stack.enter_context(cluster.client())
        until(lambda: client.get("models/"), what="the model is registered")
        yield Hosts(cluster=cluster, places=places, runs=Runs(client, folder / "runs"))


def test_a_host_that_is_cut_off_costs_a_run_a_lease_and_works_again_when_it_is_back(hosts: Hosts, tmp_path: Path) -> None:
    runs, (stays, goes) = hosts.runs, hosts.places
    t = time.monotonic()
    def lap(what): print(f"{time.monotonic() - t:6.1f} {what}")
    analysis = runs.start(chunks=CHUNKS)
    until(lambda: len(hosts.at_work()) == 2, what="both workers are in chunks", every=0.02)
    lap("both")
    goes.host.cut_off()
    running = hosts.at_work()
    print(running)
    lost = next(slugs for worker, slugs in running.items() if worker.startswith(goes.name))
    until(lambda: not goes.busy(), what="nothing is left running where nobody can be told")
    lap("not busy")
    until(lambda: {slug for slug, _ in hosts.events(analysis, "failed")} >= set(lost), what="its chunks are others'")
    lap("reaped")
    until(lambda: runs.ended(analysis), what="the run ends")
    lap("ended")
    goes.host.bring_back()
    again = runs.start(chunks=CHUNKS)
    stays.controller.stop()
    lap("stopped")
    until(lambda: runs.ended(again), what="the second run ends")
    lap("ended 2")
    print(Counter(worker for _, worker in hosts.events(again, "claimed")))
    until(lambda: False, what="x", seconds=0)
