"""Each role is restarted in its turn while runs go on, as a new version is rolled out; nobody notices."""

import itertools
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from qanat.cli.client import Client
from qanat.cli.up.platform import free_port
from tests import postgres, rabbitmq
from tests.acceptance.faults import Runs
from tests.live_server import PASSWORD
from tests.roles import LOCAL, Cluster, Process
from tests.waiting import until

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("rolling")]

RUNS_AT_A_TIME = 2
ENDED_WELL = {0, -signal.SIGTERM}
"""What asked it to end may be what a process says it ended of."""


class InTurn(httpx.BaseTransport):
    """Sends each request to the next replica, on a connection of its own; to another only where nobody listens."""

    def __init__(self, ports: Sequence[int]) -> None:
        """Know the replicas."""
        self._ports = ports
        self._turn = itertools.count()
        self._transport = httpx.HTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        first = next(self._turn)
        for number in range(len(self._ports)):
            request.url = request.url.copy_with(port=self._ports[(first + number) % len(self._ports)])
            try:
                return self._transport.handle_request(request)
            except httpx.ConnectError:
                if number == len(self._ports) - 1:
                    raise
        message = "there is no replica"
        raise AssertionError(message)

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()


class Impatient(Client):
    """A client that tries nothing again by itself."""

    def __init__(self, ports: Sequence[int]) -> None:
        """Talk to the replicas."""
        super().__init__(f"http://{LOCAL}:{ports[0]}")
        self._http.close()
        self._http = httpx.Client(base_url=f"{self.url}/", timeout=60, transport=InTurn(ports))

    def _call(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        return self._ask(method, path, **request)


@dataclass
class Crowd:
    """Threads that do something again and again, until the end or the first failure."""

    failures: list[BaseException] = field(default_factory=list)
    done: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def repeating(self, *actions: Callable[[], object]) -> Iterator[None]:
        """Repeat each action in a thread of its own while the block lasts."""
        threads = [threading.Thread(target=self._repeat, args=(action,)) for action in actions]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()

    def _repeat(self, action: Callable[[], object]) -> None:
        while not self._ended.is_set():
            try:
                action()
            except Exception as error:  # noqa: BLE001 - whatever it is, the test shall tell
                self.failures.append(error)
                return
            self.done += 1


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """A platform whose API has two replicas."""

    cluster: Cluster
    ports: Sequence[int]
    replicas: Sequence[Process]
    others: Sequence[Process]

    def client(self) -> Impatient:
        """Return an administrator who is logged in."""
        client = Impatient(self.ports)
        client.login("admin", PASSWORD)
        return client

    def restart_all(self) -> dict[str, int]:
        """Restart all roles, one after another, each when the one before is back; return their exit codes."""
        codes = {}
        for port, replica in zip(self.ports, self.replicas, strict=True):
            codes[f"api-{port}"] = replica.stop()
            replica.start()
            until(partial(self.cluster.answers, port), what="the replica is back")
        for role in self.others:
            codes[role.name] = role.stop()
            role.start()
        return codes


@pytest.fixture(scope="module")
def rollout(tmp_path_factory: pytest.TempPathFactory, demo_model: Path) -> Iterator[Rollout]:
    """All roles, of the API two."""
    if postgres.binaries() is None or rabbitmq.programme() is None:
        pytest.skip("PostgreSQL or RabbitMQ is not installed: apt-get install postgresql rabbitmq-server")
    with ExitStack() as stack:
        cluster = Cluster(
            folder=tmp_path_factory.mktemp("rolling"),
            database=stack.enter_context(postgres.server(address=LOCAL, subnet=f"{LOCAL}/32")),
            broker=stack.enter_context(rabbitmq.server()),
            settings={"QANAT_LEASE_SECONDS": "12"},
        )
        cluster.prepare()
        ports = [cluster.port, free_port(LOCAL)]
        replicas = [stack.enter_context(cluster.api(port)) for port in ports]
        others = [
            cluster.role("websocket", "--websocket-port", str(free_port(LOCAL))),
            *(cluster.role(name) for name in ("monitor", "task-controller", "beat")),
            cluster.worker(demo_model),
        ]
        for role in others:
            stack.enter_context(role)
        for port in ports:
            until(partial(cluster.answers, port), what="the replica answers")
        yield Rollout(cluster=cluster, ports=ports, replicas=replicas, others=others)


def test_a_rollout_loses_nothing_and_no_client_sees_it(rollout: Rollout, tmp_path: Path) -> None:
    crowd = Crowd()
    with rollout.client() as client, rollout.client() as onlooker:
        until(lambda: client.get("models/"), what="the model is registered")
        runs = Runs(client, tmp_path)
        analyses = [runs.start() for _ in range(RUNS_AT_A_TIME)]
        until(lambda: runs.in_losses(analyses[0]), what="losses are under way", seconds=240)

        with crowd.repeating(
            lambda: onlooker.get("analyses/"),
            lambda: analyses.append(runs.start()) if all(map(runs.ended, analyses)) else None,
        ):
            codes = rollout.restart_all()
        until(lambda: crowd.failures or all(map(runs.ended, analyses)), what="all runs end", seconds=240)

        outputs = [runs.outputs(analysis, tmp_path / str(analysis)) for analysis in analyses]
    assert not crowd.failures
    assert crowd.done > len(codes)
    assert set(codes.values()) <= ENDED_WELL, codes
    assert all(tables == outputs[0] for tables in outputs)
    with psycopg.connect(rollout.cluster.database) as connection:
        failures = connection.execute("SELECT slug, error FROM runs_step WHERE failures <> '{}' ").fetchall()
        committed = connection.execute(
            "SELECT count(*) - count(DISTINCT step_id) FROM runs_event WHERE event = 'committed'"
        ).fetchone()
    assert not failures
    assert committed == (0,)
