"""The sub-tasks of a run: listed, filtered, counted; their logs."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from qanat.contract.statuses import FailureClass
from qanat.server.analyses.models import Analysis
from qanat.server.files.storage import storage
from qanat.server.runs.models import Step
from tests.api.caller import BAD_REQUEST, NOT_ALLOWED, NOT_FOUND, OK, Caller
from tests.api.world import Workers
from tests.factories import make_user

FIELDS = {
    "id",
    "task_id",
    "status",
    "queue_name",
    "name",
    "slug",
    "pending_time",
    "queue_time",
    "start_time",
    "end_time",
    "retry_count",
    "output_log",
    "error_log",
    "retry_log",
}
LOGS = ("output_log", "error_log", "retry_log")
COUNTS = {"TOTAL_IN_QUEUE", "TOTAL", "PENDING", "QUEUED", "STARTED", "COMPLETED", "CANCELLED", "ERROR"}


@pytest.fixture
def queued(api: Caller, analysis: Analysis, workers: Workers) -> Analysis:
    """An analysis whose inputs are planned in two chunks."""
    api.post(f"analyses/{analysis.pk}/chunking_configuration/", {"fixed_lookup_chunks": 2})
    api.post(f"analyses/{analysis.pk}/generate_inputs/")
    workers.control()
    return analysis


@pytest.fixture
def staff(db: None) -> Caller:
    """The API for staff."""
    return Caller(make_user(staff=True), "v2")


@pytest.fixture
def step(queued: Analysis) -> Step:
    """A sub-task with its three logs."""
    step = Step.objects.earliest("position")
    for log in LOGS:
        setattr(step, log, f"logs/{step.celery_id}-{log}")
        storage().write(getattr(step, log), [log.encode()])
    step.save()
    return step


def test_an_analysis_that_was_never_run_has_no_sub_tasks(api: Caller, analysis: Analysis) -> None:
    answer = api.get(f"analyses/{analysis.pk}/sub_task_list/")

    assert (answer.code, answer.body) == (OK, [])


def test_sub_tasks_come_in_the_order_of_their_execution(api: Caller, queued: Analysis) -> None:
    answer = api.get(f"analyses/{queued.pk}/sub_task_list/")

    assert (answer.code, [row["slug"] for row in answer.body]) == (
        OK,
        [
            "prepare-input-generation-params",
            "pre-analysis-hook",
            "prepare-keys-file-0",
            "prepare-keys-file-1",
            "collect-keys",
            "write-input-files",
            "record-input-files",
            "cleanup-input-generation",
        ],
    )


def test_a_sub_task_has_the_fields_that_clients_know(api: Caller, queued: Analysis) -> None:
    first = api.get(f"analyses/{queued.pk}/sub_task_list/").body[0]

    assert set(first) == FIELDS | {"resources"}
    assert (first["name"], first["status"]) == ("Prepare input generation params", "QUEUED")
    assert first["queue_name"].endswith("-v2")
    assert (first["retry_count"], first["end_time"]) == (0, None)
    assert {first[log] for log in LOGS} == {None}


def test_recording_is_on_the_servers_own_queue(api: Caller, queued: Analysis) -> None:
    (recording,) = api.get(f"analyses/{queued.pk}/sub_task_list/", subtask_slug="record").body

    assert recording["queue_name"] == "celery-v2"


def test_a_sub_task_tells_its_times_as_it_goes(api: Caller, queued: Analysis, workers: Workers) -> None:
    held = workers.take("pre-analysis-hook")
    done, under_way, *_ = api.get(f"analyses/{queued.pk}/sub_task_list/").body

    workers.finish(held)

    assert (done["status"], under_way["status"]) == ("COMPLETED", "STARTED")
    assert done["pending_time"] <= done["queue_time"] <= done["start_time"] <= done["end_time"]
    assert under_way["end_time"] is None
    assert api.get(f"analyses/{queued.pk}/sub_task_list/").body[1]["status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"subtask_slug": "keys"}, 3),
        ({"subtask_slug": "KEYS-FILE"}, 2),
        ({"subtask_slug": "nothing"}, 0),
        ({"subtask_status": "QUEUED"}, 1),
        ({"subtask_status": "PENDING"}, 7),
        ({"subtask_status": "ERROR"}, 0),
        ({"subtask_status": "PENDING", "subtask_slug": "keys"}, 3),
    ],
)
def test_sub_tasks_are_filtered(api: Caller, queued: Analysis, query: dict[str, str], found: int) -> None:
    answer = api.get(f"analyses/{queued.pk}/sub_task_list/", **query)

    assert len(answer.body) == found


def test_a_status_that_is_none_is_refused(api: Caller, queued: Analysis) -> None:
    answer = api.get(f"analyses/{queued.pk}/sub_task_list/", subtask_status="LOST")

    assert answer.code == BAD_REQUEST
    assert "LOST is not one of the available choices" in str(answer.body)


def test_an_analysis_counts_its_sub_tasks_by_status(api: Caller, queued: Analysis, workers: Workers) -> None:
    workers.take("prepare-keys-file-0")

    shown = api.get(f"analyses/{queued.pk}/").body

    counts = shown["status_count"]
    assert set(counts) == COUNTS
    assert (shown["sub_task_count"], counts["TOTAL"], counts["COMPLETED"]) == (8, 8, 2)
    assert counts["STARTED"] == 1
    assert counts["TOTAL_IN_QUEUE"] == counts["PENDING"] + counts["QUEUED"] + counts["STARTED"] == 6


def test_a_sub_task_that_failed_is_named_and_its_siblings_are_cancelled(
    api: Caller, queued: Analysis, workers: Workers
) -> None:
    held = workers.take("prepare-keys-file-0")

    workers.fail(held, FailureClass.INPUT)

    shown = api.get(f"analyses/{queued.pk}/").body
    assert (shown["status"], shown["sub_task_error_ids"]) == ("INPUTS_GENERATION_ERROR", [held.step_id])
    assert shown["status_count"]["CANCELLED"] == 5


def test_cancelling_shows_on_every_sub_task_that_was_left(api: Caller, queued: Analysis) -> None:
    api.post(f"analyses/{queued.pk}/cancel/")

    statuses = {row["status"] for row in api.get(f"analyses/{queued.pk}/sub_task_list/").body}

    assert statuses == {"CANCELLED"}


def test_only_the_latest_run_is_shown(api: Caller, queued: Analysis, workers: Workers) -> None:
    before = {row["id"] for row in api.get(f"analyses/{queued.pk}/sub_task_list/").body}
    for action in ("cancel", "generate_inputs"):
        api.post(f"analyses/{queued.pk}/{action}/")
    workers.control()

    after = {row["id"] for row in api.get(f"analyses/{queued.pk}/sub_task_list/").body}

    assert len(after) == len(before) == 8
    assert not after & before


def test_many_sub_tasks_cost_as_many_queries_as_few(api: Caller, ready: Analysis, workers: Workers) -> None:
    costs = []
    for chunks in (1, 20):
        api.post(f"analyses/{ready.pk}/chunking_configuration/", {"fixed_analysis_chunks": chunks})
        api.post(f"analyses/{ready.pk}/run/")
        workers.control()
        for path in (f"analyses/{ready.pk}/", f"analyses/{ready.pk}/sub_task_list/"):
            with CaptureQueriesContext(connection) as queries:
                assert api.get(path).code == OK
            costs.append(len(queries))
        api.post(f"analyses/{ready.pk}/cancel/")

    assert costs[:2] == costs[2:]


def test_staff_list_the_sub_tasks_of_everybody(staff: Caller, queued: Analysis) -> None:
    answer = staff.get("analysis-task-statuses/")

    assert (answer.code, len(answer.body)) == (OK, 8)
    assert set(answer.body[0]) == FIELDS | {"resources"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"slug": "collect-keys"}, 1),
        ({"slug__contains": "KEYS"}, 3),
        ({"name__contains": "keys file"}, 2),
        ({"queue_name": "celery-v2"}, 1),
        ({"status": "QUEUED"}, 1),
        ({"status__in": "QUEUED,PENDING"}, 8),
        ({"created": "x", "user": "y"}, 8),
    ],
)
def test_staff_filter_them(staff: Caller, queued: Analysis, query: dict[str, str], found: int) -> None:
    answer = staff.get("analysis-task-statuses/", **query)

    assert len(answer.body) == found


@pytest.mark.parametrize("query", [{"status": "LOST"}, {"status__in": "QUEUED,LOST"}])
def test_staff_are_refused_a_status_that_is_none(staff: Caller, queued: Analysis, query: dict[str, str]) -> None:
    assert staff.get("analysis-task-statuses/", **query).code == BAD_REQUEST


@pytest.mark.parametrize("log", LOGS)
def test_a_log_is_shown_as_a_link_and_downloaded_as_text(staff: Caller, api: Caller, step: Step, log: str) -> None:
    link = f"analysis-task-statuses/{step.pk}/{log}/"

    answer = staff.get(link)

    shown = api.get(f"analyses/{step.run.analysis_id}/sub_task_list/").body[0]
    assert shown[log] == f"http://testserver/v2/{link}"
    assert (answer.code, answer.content) == (OK, log.encode())
    assert answer.headers["Content-Type"] == "text/plain"
    name = f"{step.celery_id}-{log.removesuffix('_log')}.log"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'


@pytest.mark.parametrize("log", LOGS)
def test_a_log_is_deleted(staff: Caller, step: Step, log: str) -> None:
    link = f"analysis-task-statuses/{step.pk}/{log}/"

    answer = staff.delete(link)

    assert (answer.code, answer.content) == (OK, b"")
    assert staff.get(link).code == staff.delete(link).code == NOT_FOUND


def test_a_sub_task_cannot_be_changed(staff: Caller, step: Step) -> None:
    answer = staff.patch(f"analysis-task-statuses/{step.pk}/", {"status": "COMPLETED"})

    assert (answer.code, answer.body["status"]) == (OK, "QUEUED")


def test_sub_tasks_are_neither_made_nor_removed_by_users(staff: Caller, step: Step) -> None:
    made = staff.post("analysis-task-statuses/", {"name": "N"})
    removed = staff.delete(f"analysis-task-statuses/{step.pk}/")

    assert (made.code, removed.code) == (NOT_ALLOWED, NOT_ALLOWED)
    assert Step.objects.filter(pk=step.pk).exists()


def test_staff_page_through_them(staff: Caller, queued: Analysis) -> None:
    whole = staff.get("analysis-task-statuses/", ordering="-slug").body

    first = staff.get("analysis-task-statuses/", ordering="-slug", limit="3")

    assert first.body == whole[:3]
    assert 'rel="next"' in first.headers["Link"]


def test_a_filter_of_theirs_with_a_character_that_no_database_keeps_is_refused(staff: Caller) -> None:
    answer = staff.get("analysis-task-statuses/", name="\x00")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"name"})


def test_a_slug_with_such_a_character_is_refused(api: Caller, queued: Analysis) -> None:
    answer = api.get(f"analyses/{queued.pk}/sub_task_list/", subtask_slug="\x00")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"subtask_slug"})
