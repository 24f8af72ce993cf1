"""An analysis that waits says why, where it is asked for alone; and lists cost no more for it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from qanat.contract.statuses import FailureClass, RunMode
from qanat.server.analyses.models import Analysis
from qanat.server.risk_models.models import RiskModel
from qanat.server.runs import clock
from qanat.server.runs.models import Step, StockQueue, Worker
from tests.api.caller import OK, Caller
from tests.api.world import Workers
from tests.factories import make_complete_analysis, make_portfolio


@pytest.fixture
def queue(model: RiskModel) -> str:
    """The model's queue."""
    return model.queue(RunMode.V2)


@pytest.fixture
def worker(queue: str) -> Worker:
    """A worker of the model, with one slot."""
    return Worker.objects.create(id="w", queues=[queue], slots=1, last_seen=clock.now())


@pytest.fixture
def queued(api: Caller, analysis: Analysis, workers: Workers) -> Analysis:
    """An analysis whose inputs were asked for and planned."""
    assert api.post(f"analyses/{analysis.pk}/generate_inputs/").code == OK
    workers.control()
    return analysis


def reason(api: Caller, analysis: Analysis) -> str | None:
    shown: dict[str, Any] | None = api.get(f"analyses/{analysis.pk}/").body["waiting_for"]
    return None if shown is None else shown["reason"]


def message(api: Caller, analysis: Analysis) -> str:
    return str(api.get(f"analyses/{analysis.pk}/").body["waiting_for"]["message"])


def test_before_it_was_asked_for_it_waits_for_nothing(api: Caller, analysis: Analysis) -> None:
    assert reason(api, analysis) is None


def test_it_waits_to_be_planned(api: Caller, analysis: Analysis, workers: Workers) -> None:
    api.post(f"analyses/{analysis.pk}/generate_inputs/")

    assert reason(api, analysis) == "PLAN"


def test_without_a_worker_it_says_which_is_missing_and_since_when(
    api: Caller, queued: Analysis, worker: Worker, queue: str
) -> None:
    seen = clock.now() - timedelta(minutes=5)
    Worker.objects.update(last_seen=seen)

    assert message(api, queued) == f"No worker serves {queue} since {seen:%Y-%m-%d %H:%M} UTC."


def test_a_worker_that_stops_serves_nobody(api: Caller, queued: Analysis, worker: Worker) -> None:
    Worker.objects.update(draining=True)

    assert reason(api, queued) == "NO_WORKER"


def test_stock_workers_need_not_answer(api: Caller, queued: Analysis, queue: str) -> None:
    StockQueue.objects.create(name=queue)

    assert "need not" in message(api, queued)


def test_where_a_worker_is_about_to_take_it_there_is_no_reason(api: Caller, queued: Analysis, worker: Worker) -> None:
    assert reason(api, queued) is None


def test_what_nobody_takes_says_so(api: Caller, queued: Analysis, worker: Worker) -> None:
    Step.objects.filter(state="sent").update(rings=3)

    assert reason(api, queued) == "NOT_TAKEN"


def test_behind_others_it_says_how_many(
    api: Caller, queued: Analysis, worker: Worker, workers: Workers, model: RiskModel
) -> None:
    others = [make_complete_analysis(portfolio=make_portfolio(), model=model) for _ in range(2)]
    for other in others:
        assert api.post(f"analyses/{other.pk}/generate_inputs/").code == OK
    workers.control()
    assert workers.deliver(workers.messages.pop(0)) is not None

    assert reason(api, queued) is None  # it runs
    assert message(api, others[0]) == "1 run of higher or equal priority is ahead."
    assert message(api, others[1]) == "2 runs of higher or equal priority are ahead."


def test_behind_what_is_less_urgent_the_workers_are_busy(
    api: Caller, queued: Analysis, worker: Worker, workers: Workers, model: RiskModel
) -> None:
    assert workers.deliver(workers.messages.pop(0)) is not None
    urgent = make_complete_analysis(portfolio=make_portfolio(), model=model)
    Analysis.objects.filter(pk=urgent.pk).update(priority=7)
    api.post(f"analyses/{urgent.pk}/generate_inputs/")
    workers.control()

    assert message(api, urgent) == "The one worker of the model is busy."


def test_what_has_failed_says_when_it_is_tried_again(
    api: Caller, queued: Analysis, worker: Worker, workers: Workers
) -> None:
    held = workers.deliver(workers.messages.pop(0))
    assert held is not None
    workers.now += timedelta(minutes=5)
    workers.fail(held, FailureClass.INFRASTRUCTURE)

    again = Step.objects.get(pk=held.step_id).not_before
    assert again is not None
    assert message(api, queued) == f"A sub-task has failed and is tried again at {again:%H:%M:%S} UTC."


def test_results_that_nobody_records_wait_for_the_monitor(
    api: Caller, queued: Analysis, worker: Worker, workers: Workers
) -> None:
    held = workers.take("write-input-files")
    workers.finish(held)
    workers.control()
    Step.objects.filter(server_side=True, state="sent").update(rings=3)

    assert reason(api, queued) == "MONITOR"


def test_a_list_does_not_ask(api: Caller, queued: Analysis) -> None:
    shown = api.get("analyses/").body

    assert "waiting_for" not in shown[0]


def test_many_others_cost_no_query_more(
    api: Caller, queued: Analysis, worker: Worker, workers: Workers, model: RiskModel
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as counted:
            api.get(f"analyses/{queued.pk}/")
        return len(counted)

    alone = queries()
    for number in range(5):
        other = make_complete_analysis(portfolio=make_portfolio(), model=model)
        api.post(f"analyses/{other.pk}/generate_inputs/")
        Worker.objects.create(id=f"w{number}", queues=worker.queues, last_seen=clock.now())
    workers.control()

    assert queries() == alone
