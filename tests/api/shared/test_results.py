"""From a portfolio to its losses over HTTP, with workers at work beneath; and every file that comes of it."""

import pytest

from qanat.contract.statuses import AnalysisStatus as Status
from qanat.contract.statuses import FailureClass
from qanat.server.analyses.models import Analysis
from tests.api.caller import BAD_REQUEST, NOT_ALLOWED, NOT_FOUND, OK, Caller
from tests.api.world import Workers
from tests.documents import ANALYSIS_SETTINGS
from tests.factories import make_file

INPUTS = {
    "input_file": ("inputs.tar.gz", "application/gzip"),
    "lookup_success_file": ("gul_summary_map.csv", "text/csv"),
    "lookup_errors_file": ("keys-errors.csv", "text/csv"),
    "lookup_validation_file": ("exposure_summary_report.json", "application/json"),
    "summary_levels_file": ("exposure_summary_levels.json", "application/json"),
    "settings_file": ("settings.json", "application/json"),
    "input_generation_traceback_file": ("generation_traceback.txt", "text/plain"),
}
LOSSES = {
    "output_file": ("output.tar.gz", "application/gzip"),
    "run_log_file": ("logs.tar.gz", "application/gzip"),
    "run_traceback_file": ("run_traceback.txt", "text/plain"),
}
RESULTS = INPUTS | LOSSES
DELETABLE = {"settings_file", "input_generation_traceback_file", *LOSSES}
TRACEBACKS = {"input_generation_traceback_file", "run_traceback_file"}
"""V2 makes them of the sub-tasks' logs, which the workers of these tests do not write."""
READ_ONLY = set(RESULTS) - DELETABLE
FIRST_STEP = {"v1": "generate-input", "v2": "prepare-keys-file-0"}
LOSS_STEP = {"v1": "run-analysis", "v2": "generate-losses-chunk-0"}


@pytest.fixture
def completed(api: Caller, analysis: Analysis, workers: Workers) -> Analysis:
    """An analysis that was asked for its inputs and its losses, and has both."""
    api.post(f"analyses/{analysis.pk}/settings/", ANALYSIS_SETTINGS)
    api.post(f"analyses/{analysis.pk}/generate_inputs/")
    workers.finish_all()
    api.post(f"analyses/{analysis.pk}/run/")
    workers.finish_all()
    analysis.refresh_from_db()
    return analysis


def test_inputs_make_an_analysis_ready(api: Caller, analysis: Analysis, workers: Workers) -> None:
    api.post(f"analyses/{analysis.pk}/generate_inputs/")

    workers.finish_all()

    shown = api.get(f"analyses/{analysis.pk}/").body
    assert shown["status"] == Status.READY
    assert all(shown[field] for field in INPUTS)
    assert not any(shown[field] for field in LOSSES)
    assert shown["task_finished"] >= shown["task_started"]


def test_losses_complete_an_analysis(api: Caller, completed: Analysis) -> None:
    shown = api.get(f"analyses/{completed.pk}/").body

    assert shown["status"] == Status.RUN_COMPLETED
    assert all(shown[field] for field in RESULTS)


def test_results_are_downloaded_under_their_names_and_types(api: Caller, completed: Analysis) -> None:
    answers = {field: api.get(f"analyses/{completed.pk}/{field}/") for field in RESULTS}

    for field, (name, content_type) in RESULTS.items():
        assert (answers[field].code, answers[field].headers["Content-Type"]) == (OK, content_type)
        disposition = f'attachment; filename="analysis_{completed.pk}_{name}"'
        assert answers[field].headers["Content-Disposition"] == disposition


def test_results_are_what_the_worker_made(api: Caller, completed: Analysis) -> None:
    for field in set(RESULTS) - TRACEBACKS:
        assert api.get(f"analyses/{completed.pk}/{field}/").content == field.encode()


def test_files_that_are_not_there_are_not_found(api: Caller, analysis: Analysis) -> None:
    for field in RESULTS:
        assert api.get(f"analyses/{analysis.pk}/{field}/").code == NOT_FOUND


@pytest.mark.parametrize("field", sorted(READ_ONLY))
def test_what_input_generation_made_stays(api: Caller, analysis: Analysis, field: str) -> None:
    Analysis.objects.update(**{field: make_file()})

    deleted = api.delete(f"analyses/{analysis.pk}/{field}/")
    uploaded = api.upload(f"analyses/{analysis.pk}/{field}/", b"x", name="a.csv", content_type="text/csv")

    assert deleted.code == uploaded.code == NOT_ALLOWED
    assert api.get(f"analyses/{analysis.pk}/{field}/").code == OK


@pytest.mark.parametrize("field", sorted(DELETABLE))
def test_logs_results_and_settings_may_be_deleted(api: Caller, analysis: Analysis, field: str) -> None:
    Analysis.objects.update(**{field: make_file()})

    answer = api.delete(f"analyses/{analysis.pk}/{field}/")

    assert (answer.code, answer.content) == (OK, b"")
    assert api.get(f"analyses/{analysis.pk}/{field}/").code == NOT_FOUND
    assert api.get(f"analyses/{analysis.pk}/").body[field] is None


@pytest.mark.parametrize("field", sorted(LOSSES))
def test_results_cannot_be_uploaded(api: Caller, analysis: Analysis, field: str) -> None:
    answer = api.upload(f"analyses/{analysis.pk}/{field}/", b"x", name="a.csv", content_type="text/csv")

    assert answer.code == NOT_ALLOWED


def test_a_started_analysis_says_so(api: Caller, analysis: Analysis, workers: Workers, version: str) -> None:
    api.post(f"analyses/{analysis.pk}/generate_inputs/")

    workers.take(FIRST_STEP[version])

    assert api.get(f"analyses/{analysis.pk}/").body["status"] == Status.INPUTS_GENERATION_STARTED


def test_what_a_worker_makes_after_the_cancel_is_not_taken(
    api: Caller, analysis: Analysis, workers: Workers, version: str
) -> None:
    api.post(f"analyses/{analysis.pk}/generate_inputs/")
    held = workers.take(FIRST_STEP[version])

    answer = api.post(f"analyses/{analysis.pk}/cancel_generate_inputs/")

    assert answer.body["status"] == Status.INPUTS_GENERATION_CANCELLED
    assert not workers.finish(held)
    assert api.get(f"analyses/{analysis.pk}/").body["status"] == Status.INPUTS_GENERATION_CANCELLED


def test_losses_under_way_are_cancelled(api: Caller, ready: Analysis, workers: Workers, version: str) -> None:
    api.post(f"analyses/{ready.pk}/run/")
    workers.take(LOSS_STEP[version])

    answer = api.post(f"analyses/{ready.pk}/cancel_analysis_run/")

    assert (answer.code, answer.body["status"]) == (OK, Status.RUN_CANCELLED)
    assert answer.body["output_file"] is None


def test_inputs_that_fail_leave_an_error_that_can_be_asked_again(
    api: Caller, analysis: Analysis, workers: Workers, version: str
) -> None:
    api.post(f"analyses/{analysis.pk}/generate_inputs/")

    workers.fail(workers.take(FIRST_STEP[version]), FailureClass.INPUT)

    assert api.get(f"analyses/{analysis.pk}/").body["status"] == Status.INPUTS_GENERATION_ERROR
    assert api.get(f"analyses/{analysis.pk}/input_generation_traceback_file/").code == OK
    assert api.post(f"analyses/{analysis.pk}/run/").code == BAD_REQUEST
    assert api.post(f"analyses/{analysis.pk}/generate_inputs/").code == OK


def test_locations_without_a_key_are_a_state_of_its_own(
    api: Caller, analysis: Analysis, workers: Workers, version: str
) -> None:
    api.post(f"analyses/{analysis.pk}/generate_inputs/")

    workers.fail(workers.take(FIRST_STEP[version]), FailureClass.INPUT, no_keys=True)

    assert api.get(f"analyses/{analysis.pk}/").body["status"] == Status.INPUTS_GENERATION_NO_KEYS


@pytest.mark.parametrize("no_keys", [False, True], ids=["", "whose worker speaks of keys"])
def test_losses_that_fail_leave_no_former_result(
    api: Caller, completed: Analysis, workers: Workers, version: str, *, no_keys: bool
) -> None:
    api.post(f"analyses/{completed.pk}/run/")

    workers.fail(workers.take(LOSS_STEP[version]), FailureClass.INPUT, no_keys=no_keys)

    shown = api.get(f"analyses/{completed.pk}/").body
    assert (shown["status"], shown["output_file"]) == (Status.RUN_ERROR, None)
    assert shown["run_traceback_file"] is not None


def test_a_completed_analysis_can_be_run_again(api: Caller, completed: Analysis, workers: Workers) -> None:
    before = completed.output_file.key
    api.post(f"analyses/{completed.pk}/run/")

    workers.finish_all()

    assert api.get(f"analyses/{completed.pk}/").body["status"] == Status.RUN_COMPLETED
    assert api.get(f"analyses/{completed.pk}/storage_links/").body["output_file"] != before
