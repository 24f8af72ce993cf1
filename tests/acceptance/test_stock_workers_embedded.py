"""Stand-ins for stock workers complete runs over the broker that a platform starts itself, which may lose messages."""

import pytest

from tests.acceptance.stock_workers import FIRST, LOSSES, Analyses, StandIn

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("stock workers embedded")]


@pytest.fixture(scope="module")
def broker_url() -> str:
    """None of its own."""
    return ""


def test_a_stock_worker_completes_inputs_and_losses(worker: StandIn, analyses: Analyses) -> None:
    analysis = analyses.create(worker)

    analyses.run(analysis)

    assert analyses.losses(analysis) == LOSSES


def test_a_step_whose_message_died_with_its_worker_is_sent_anew(worker: StandIn, analyses: Analyses) -> None:
    task = FIRST[worker.mode]
    analysis = analyses.create(worker, chunks=1)
    before = worker.received(task)
    worker.wish(f"die-{task}")

    analyses.ask(analysis, "generate_inputs")
    worker.wait_for_death()
    worker.start()

    analyses.reaches(analysis, "READY")
    assert worker.received(task) == before + 2
