"""The queues: what waits on them, who serves them, and which analyses are under way there."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from qanat.contract.statuses import RunMode
from qanat.server.analyses.models import Analysis
from qanat.server.risk_models.models import RiskModel
from qanat.server.runs import clock
from qanat.server.runs.models import Worker
from tests.api.caller import FORBIDDEN, OK, Caller
from tests.api.world import Workers
from tests.factories import (
    make_analysis,
    make_complete_analysis,
    make_group,
    make_model,
    make_portfolio,
    make_user,
)

ZERO = {"pending_count": 0, "queued_count": 0, "running_count": 0, "queue_message_count": 0}


@pytest.fixture
def queue(model: RiskModel) -> str:
    """The model's queue."""
    return model.queue(RunMode.V2)


@pytest.fixture
def worker(queue: str) -> Worker:
    """A worker on that queue."""
    return Worker.objects.create(id="w", queues=[queue], last_seen=clock.now())


@pytest.fixture
def queued(api: Caller, analysis: Analysis, workers: Workers) -> Analysis:
    """An analysis whose inputs are planned."""
    api.post(f"analyses/{analysis.pk}/generate_inputs/")
    workers.control()
    return analysis


def test_there_are_no_queues_without_workers_and_work(api: Caller, model: RiskModel) -> None:
    assert api.get("queue/").body == []
    assert api.get("queue-status/").body["content"] == []


def test_a_queue_with_a_worker_is_shown_with_its_models(
    api: Caller, model: RiskModel, worker: Worker, queue: str
) -> None:
    answer = api.get("queue/")

    assert answer.code == OK
    (shown,) = answer.body
    models = shown.pop("models")
    assert shown == {"name": queue, **ZERO, "worker_count": 1}
    assert [row["id"] for row in models] == [model.pk]
    assert models[0]["settings"] == f"/api/v2/models/{model.pk}/settings/"
    assert set(models[0]) == set(api.get(f"models/{model.pk}/").body)


def test_sub_tasks_are_counted_on_their_queue(api: Caller, queued: Analysis, queue: str) -> None:
    shown = {row["name"]: row for row in api.get("queue/").body}

    assert shown[queue]["queued_count"] + shown[queue]["pending_count"] == len(
        [row for row in api.get(f"analyses/{queued.pk}/sub_task_list/").body if row["queue_name"] == queue]
    )
    assert shown[queue]["queue_message_count"] == 1
    assert shown["celery-v2"]["pending_count"] == 1


def test_a_worker_that_drains_and_a_hidden_model_are_not_counted(
    api: Caller, model: RiskModel, worker: Worker, queue: str
) -> None:
    Worker.objects.create(id="x", queues=[queue], last_seen=clock.now(), draining=True)
    api.delete(f"models/{model.pk}/")

    (shown,) = api.get("queue/").body

    assert (shown["worker_count"], shown["models"]) == (1, [])


def test_the_status_of_the_queues_has_the_analyses_under_way(api: Caller, queued: Analysis, queue: str) -> None:
    document = api.get("queue-status/").body

    assert (document["type"], document["status"]) == ("queue_status.updated", "SUCCESS")
    content = {entry["queue"]["name"]: entry for entry in document["content"]}
    (entry,) = content[queue]["analyses"]
    assert entry["updated_tasks"] == []
    assert entry["analysis"]["id"] == queued.pk
    assert sorted(entry["analysis"]["queue_names"]) == sorted(content)
    assert entry["analysis"]["status_count"] == api.get(f"analyses/{queued.pk}/").body["status_count"]


def test_who_may_not_see_analysis_and_model_sees_the_numbers_only(
    api: Caller, queued: Analysis, worker: Worker, queue: str
) -> None:
    queued.portfolio.groups.add(make_group())
    outsider = Caller(make_user(make_group()), "v2")

    content = {entry["queue"]["name"]: entry for entry in outsider.get("queue-status/").body["content"]}

    assert (content[queue]["analyses"], content[queue]["queue"]["models"]) == ([], [])
    assert content[queue]["queue"]["queue_message_count"] == 1


@pytest.mark.parametrize("route", ["queue/", "queue-status/"])
def test_the_queues_cost_as_much_with_many_models_as_with_one(
    api: Caller, queued: Analysis, worker: Worker, route: str
) -> None:
    with CaptureQueriesContext(connection) as one:
        api.get(route)

    for number in range(10):
        model = make_model(make_group(), run_mode="V2")
        Worker.objects.create(id=str(number), queues=[model.queue(RunMode.V2)], last_seen=clock.now())
        make_analysis(portfolio=make_portfolio(), model=model)

    with CaptureQueriesContext(connection) as many:
        assert len(api.get("queue/").body if route == "queue/" else api.get(route).body["content"]) == 12
    assert len(many) == len(one) <= 10


@pytest.mark.django_db
@pytest.mark.parametrize("route", ["queue/", "queue-status/"])
def test_the_queues_are_for_users(route: str) -> None:
    assert Caller(None, "v2").get(route).code == FORBIDDEN


@pytest.mark.parametrize("supplier", ["Acme", "zeta"])
def test_an_analysis_of_a_v1_model_is_shown_on_its_models_queue_alone(supplier: str, workers: Workers) -> None:
    api = Caller(make_user(), "v1")
    model = make_model(run_mode="V1", supplier_id=supplier)
    running, idle = make_complete_analysis(model=model), make_analysis(model=model)
    Worker.objects.create(id="w", queues=[model.queue(RunMode.V1)], last_seen=clock.now())
    api.post(f"analyses/{running.pk}/run/")
    workers.control()

    content = Caller(api.user, "v2").get("queue-status/").body["content"]

    shown = {entry["queue"]["name"]: [each["analysis"]["id"] for each in entry["analyses"]] for entry in content}
    assert shown.pop(model.queue(RunMode.V1)) == [running.pk, idle.pk]
    assert set(map(tuple, shown.values())) <= {()}


@pytest.mark.django_db
def test_an_idle_analysis_without_sub_tasks_is_shown_on_no_v2_queue() -> None:
    model = make_model(run_mode="V2")
    make_complete_analysis(model=model)
    Worker.objects.create(id="w", queues=[model.queue(RunMode.V2)], last_seen=clock.now())

    (entry,) = Caller(make_user(), "v2").get("queue-status/").body["content"]

    assert entry["analyses"] == []


def test_an_analysis_is_shown_where_it_has_sub_tasks_though_they_are_done(
    api: Caller, queued: Analysis, worker: Worker, queue: str, workers: Workers
) -> None:
    workers.finish_all()

    (entry,) = api.get("queue-status/").body["content"]

    (shown,) = (each["analysis"] for each in entry["analyses"])
    assert (shown["id"], shown["status"], shown["queue_names"]) == (queued.pk, "READY", [])
    assert (shown["sub_task_count"], shown["status_count"]["TOTAL_IN_QUEUE"]) == (7, 0)


@pytest.mark.django_db
@pytest.mark.parametrize("mode", ["V1", "V2"])
def test_the_document_costs_as_much_with_many_analyses_as_with_one(mode: str) -> None:
    api, model, portfolio = Caller(make_user(), "v2"), make_model(run_mode=mode), make_portfolio()
    Worker.objects.create(id="w", queues=[model.queue(RunMode(mode))], last_seen=clock.now())
    make_analysis(model=model, portfolio=portfolio)
    with CaptureQueriesContext(connection) as one:
        api.get("queue-status/")
    for _ in range(30):
        make_analysis(model=model, portfolio=portfolio)

    with CaptureQueriesContext(connection) as many:
        (entry,) = api.get("queue-status/").body["content"]

    assert len(entry["analyses"]) == (31 if mode == "V1" else 0)
    assert len(many) == len(one)
