"""What may be asked of an analysis in which state (wire contract, section 2.2)."""

import pytest

from qanat.contract.statuses import AnalysisStatus as Status
from qanat.contract.statuses import RunState
from qanat.server.analyses.models import Analysis
from qanat.server.portfolios.models import Portfolio
from qanat.server.risk_models.models import RiskModel
from qanat.server.runs.models import Run
from tests.api.caller import BAD_REQUEST, NOT_ALLOWED, OK, Caller
from tests.factories import make_file

ACTIONS = ("generate_inputs", "run", "cancel", "cancel_generate_inputs", "cancel_analysis_run")
REQUESTS = ("generate_inputs", "run")
INPUTS_START = {
    Status.NEW,
    Status.INPUTS_GENERATION_ERROR,
    Status.INPUTS_GENERATION_NO_KEYS,
    Status.INPUTS_GENERATION_CANCELLED,
    Status.READY,
    Status.RUN_COMPLETED,
    Status.RUN_CANCELLED,
    Status.RUN_ERROR,
}
LOSSES_START = {Status.READY, Status.RUN_COMPLETED, Status.RUN_ERROR, Status.RUN_CANCELLED}
INPUTS_UNDER_WAY = {Status.INPUTS_GENERATION_QUEUED, Status.INPUTS_GENERATION_STARTED}
LOSSES_UNDER_WAY = {Status.RUN_QUEUED, Status.RUN_STARTED}
ALLOWED = {
    "generate_inputs": dict.fromkeys(INPUTS_START, Status.INPUTS_GENERATION_QUEUED),
    "run": dict.fromkeys(LOSSES_START, Status.RUN_QUEUED),
    "cancel_generate_inputs": dict.fromkeys(INPUTS_UNDER_WAY, Status.INPUTS_GENERATION_CANCELLED),
    "cancel_analysis_run": dict.fromkeys(LOSSES_UNDER_WAY, Status.RUN_CANCELLED),
    "cancel": {
        **dict.fromkeys(INPUTS_UNDER_WAY, Status.INPUTS_GENERATION_CANCELLED),
        **dict.fromkeys(LOSSES_UNDER_WAY, Status.RUN_CANCELLED),
    },
}
INPUT_FILES = (
    "input_file",
    "lookup_errors_file",
    "lookup_success_file",
    "lookup_validation_file",
    "summary_levels_file",
    "input_generation_traceback_file",
)


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_takes_effect_where_the_state_allows_it_and_nowhere_else(
    api: Caller, ready: Analysis, action: str, status: Status
) -> None:
    Analysis.objects.update(status=status)
    before = Analysis.objects.values().get()

    answer = api.post(f"analyses/{ready.pk}/{action}/")

    if status in ALLOWED[action]:
        assert (answer.code, answer.body["status"]) == (OK, ALLOWED[action][status])
    else:
        assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"status"})
        assert Analysis.objects.values().get() == before
        assert not Run.objects.exists()


@pytest.mark.parametrize("action", REQUESTS)
@pytest.mark.parametrize("status", sorted(INPUTS_UNDER_WAY | LOSSES_UNDER_WAY))
def test_a_refused_request_names_the_states_that_would_do(
    api: Caller, ready: Analysis, action: str, status: Status
) -> None:
    Analysis.objects.update(status=status)

    (message,) = api.post(f"analyses/{ready.pk}/{action}/").body["status"]

    named = message[message.index("[") + 1 : message.index("]")]
    assert set(named.split(", ")) == set(ALLOWED[action])


@pytest.mark.parametrize("action", ["cancel", "cancel_generate_inputs", "cancel_analysis_run"])
def test_there_is_nothing_to_cancel_in_an_analysis_at_rest(api: Caller, analysis: Analysis, action: str) -> None:
    answer = api.post(f"analyses/{analysis.pk}/{action}/")

    assert answer.body == {"status": ["Analysis is not running or queued"]}


@pytest.mark.parametrize(
    ("action", "status"),
    [("cancel_generate_inputs", Status.RUN_STARTED), ("cancel_analysis_run", Status.INPUTS_GENERATION_STARTED)],
)
def test_cancelling_the_other_half_names_the_state_and_those_that_would_do(
    api: Caller, analysis: Analysis, action: str, status: Status
) -> None:
    Analysis.objects.update(status=status)

    (message,) = api.post(f"analyses/{analysis.pk}/{action}/").body["status"]

    assert status in message
    assert all(would_do in message for would_do in ALLOWED[action])


@pytest.mark.parametrize("action", REQUESTS)
def test_the_second_of_two_identical_requests_is_refused(api: Caller, ready: Analysis, action: str) -> None:
    first = api.post(f"analyses/{ready.pk}/{action}/")
    second = api.post(f"analyses/{ready.pk}/{action}/")

    assert (first.code, second.code, set(second.body)) == (OK, BAD_REQUEST, {"status"})
    assert Run.objects.count() == 1


@pytest.mark.parametrize("action", ["cancel", "cancel_generate_inputs"])
def test_the_second_of_two_identical_cancels_is_refused(api: Caller, analysis: Analysis, action: str) -> None:
    api.post(f"analyses/{analysis.pk}/generate_inputs/")

    first = api.post(f"analyses/{analysis.pk}/{action}/")
    second = api.post(f"analyses/{analysis.pk}/{action}/")

    assert (first.code, second.code) == (OK, BAD_REQUEST)
    assert api.get(f"analyses/{analysis.pk}/").body["status"] == Status.INPUTS_GENERATION_CANCELLED


def test_a_queued_analysis_shows_when_it_began(api: Caller, analysis: Analysis) -> None:
    Analysis.objects.update(task_finished="2026-01-01T00:00:00Z")

    answer = api.post(f"analyses/{analysis.pk}/generate_inputs/")

    assert answer.body["task_started"] is not None
    assert answer.body["task_finished"] is None


def test_a_run_is_of_the_versions_mode_and_on_the_models_queue(
    api: Caller, analysis: Analysis, model: RiskModel, version: str
) -> None:
    api.post(f"analyses/{analysis.pk}/generate_inputs/")

    run = Run.objects.get()
    v2 = "-v2" if version == "v2" else ""
    assert run.mode == version.upper()
    assert run.queue == f"{model.supplier_id}-{model.model_id}-{model.version_id}{v2}"


def test_a_cancelled_run_goes_back_to_no_mode_and_shows_when_it_ended(api: Caller, analysis: Analysis) -> None:
    api.post(f"analyses/{analysis.pk}/generate_inputs/")

    answer = api.post(f"analyses/{analysis.pk}/cancel/")

    assert (answer.code, answer.body["status"]) == (OK, Status.INPUTS_GENERATION_CANCELLED)
    assert answer.body["task_finished"] is not None
    assert Analysis.objects.get().run_mode is None
    assert Run.objects.get().state == RunState.CANCELLED


def test_a_cancelled_analysis_can_be_asked_again(api: Caller, analysis: Analysis) -> None:
    for action in ("generate_inputs", "cancel", "generate_inputs"):
        answer = api.post(f"analyses/{analysis.pk}/{action}/")

    assert (answer.code, answer.body["status"]) == (OK, Status.INPUTS_GENERATION_QUEUED)
    assert Run.objects.count() == 2


def test_new_inputs_take_the_former_ones_away_at_once_but_leave_the_results(api: Caller, ready: Analysis) -> None:
    for field in INPUT_FILES:
        setattr(ready, field, make_file())
    ready.output_file = make_file()
    ready.save()

    answer = api.post(f"analyses/{ready.pk}/generate_inputs/")

    assert {answer.body[field] for field in INPUT_FILES} == {None}
    assert answer.body["output_file"] is not None
    assert answer.body["settings_file"] is not None


def test_a_run_takes_nothing_away(api: Caller, ready: Analysis) -> None:
    answer = api.post(f"analyses/{ready.pk}/run/")

    assert answer.body["input_file"] is not None
    assert answer.body["settings_file"] is not None


def test_a_run_lacking_settings_and_inputs_is_told_of_both(api: Caller, ready: Analysis) -> None:
    Analysis.objects.update(settings_file=None, input_file=None)

    answer = api.post(f"analyses/{ready.pk}/run/")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"analysis_settings_file", "input_file"})
    assert api.get(f"analyses/{ready.pk}/").body["status"] == Status.READY


@pytest.mark.parametrize("action", REQUESTS)
def test_a_deleted_model_runs_nothing(api: Caller, ready: Analysis, action: str) -> None:
    RiskModel.objects.update(deleted=True)

    answer = api.post(f"analyses/{ready.pk}/{action}/")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"model"})
    assert not Run.objects.exists()


def test_inputs_are_not_generated_from_nothing(api: Caller, analysis: Analysis, portfolio: Portfolio) -> None:
    Portfolio.objects.update(location_file=None)

    answer = api.post(f"analyses/{analysis.pk}/generate_inputs/")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"portfolio"})
    assert api.get(f"analyses/{analysis.pk}/").body["status"] == Status.NEW


@pytest.mark.parametrize("action", [*ACTIONS, "copy"])
def test_an_action_is_a_post(api: Caller, analysis: Analysis, action: str) -> None:
    answer = api.get(f"analyses/{analysis.pk}/{action}/")

    assert answer.code == NOT_ALLOWED


def test_a_run_reads_the_files_as_they_were_when_it_was_asked_for(
    api: Caller, analysis: Analysis, portfolio: Portfolio
) -> None:
    before = portfolio.location_file.key
    api.post(f"analyses/{analysis.pk}/generate_inputs/")

    api.upload(f"portfolios/{portfolio.pk}/location_file/", b"a\n1\n", name="b.csv", content_type="text/csv")

    assert Run.objects.get().inputs["location_file"]["key"] == before


def test_the_currency_table_comes_along_where_a_currency_is_set(
    api: Caller, analysis: Analysis, portfolio: Portfolio
) -> None:
    table = make_file(b"{}", filename="rates.json", content_type="application/json")
    Portfolio.objects.update(currency_conversion_json=table, reporting_currency="USD")

    api.post(f"analyses/{analysis.pk}/generate_inputs/")

    run = Run.objects.get()
    assert run.inputs["currency_conversion_json"]["key"] == table.key
    assert run.parameters["reporting_currency"] == "USD"
