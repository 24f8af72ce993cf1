"""PiWind's losses are the same where each role is a process of its own, on PostgreSQL and RabbitMQ."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from qanat.cli.client import Client
from tests import postgres, rabbitmq
from tests.acceptance.test_golden import CASES, named, run_and_compare
from tests.roles import Cluster
from tests.waiting import until

pytestmark = [
    pytest.mark.piwind,
    pytest.mark.postgres,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("golden cluster"),
]
ROLES = ("websocket", "monitor", "task-controller", "beat")


@pytest.fixture(scope="module")
def cluster_client(piwind: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The administrator of a platform whose roles are all processes of their own."""
    if postgres.binaries() is None or rabbitmq.programme() is None:
        pytest.skip("PostgreSQL or RabbitMQ is not installed: apt-get install postgresql rabbitmq-server")
    with ExitStack() as stack:
        cluster = Cluster(
            folder=tmp_path_factory.mktemp("cluster"),
            database=stack.enter_context(postgres.server()),
            broker=stack.enter_context(rabbitmq.server()),
        )
        cluster.prepare()
        stack.enter_context(cluster.api())
        for role in ROLES:
            stack.enter_context(cluster.role(role, "--websocket-port", "0"))
        stack.enter_context(cluster.worker(piwind / "model"))
        client = stack.enter_context(cluster.client())
        until(lambda: client.get("models/"), what="the model is registered")
        yield client


@pytest.mark.parametrize("chunks", [None, 2], ids=named)
@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_expected_on_a_cluster(
    cluster_client: Client, piwind: Path, tmp_path: Path, case: str, chunks: int | None
) -> None:
    run_and_compare(cluster_client, piwind, tmp_path, case=case, chunks=chunks)
