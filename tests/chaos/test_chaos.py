"""The short form of `make chaos`: every run ends, once and right, while all is killed, cut off and said twice."""

import pytest
from services import PostgreSQL, RabbitMQ, Service, missing

from tests.chaos.session import Plan, run

SHORT = Plan(analyses=20, interval=3.0, seed=1, lease_seconds=6, most_faults=30)
"""Nearly every kind of fault once, however slow the machine is."""
NEEDED: tuple[type[Service], ...] = (PostgreSQL, RabbitMQ)

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(1800), pytest.mark.xdist_group("chaos")]


@pytest.fixture(autouse=True)
def servers_are_installed() -> None:
    for service in NEEDED:
        if service.programme() is None:
            pytest.skip(missing(service))


def test_every_run_ends_once_and_right_whatever_happens() -> None:
    verdict = run(SHORT, tell=print)

    assert verdict.good, verdict.lines()
