"""What V2 asks besides: inputs and losses at once, other run modes, chunks of its own, priorities."""

import bz2
import gzip
import io
import zipfile

import pytest

from qanat.contract.statuses import AnalysisStatus as Status
from qanat.server.analyses.models import Analysis
from qanat.server.portfolios.models import Portfolio
from qanat.server.risk_models.models import RiskModel
from qanat.server.runs.models import Run
from tests.api.caller import BAD_REQUEST, CREATED, OK, Caller
from tests.api.shared.test_actions import INPUTS_START
from tests.api.world import Workers
from tests.documents import ANALYSIS_SETTINGS, LOCATIONS, MODEL_SETTINGS
from tests.factories import make_complete_analysis, make_file, make_model, make_user


def zipped(*names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(name, LOCATIONS)
    return target.getvalue()


PACKED = {"csv": LOCATIONS, "gzip": gzip.compress(LOCATIONS), "bzip2": bz2.compress(LOCATIONS), "zip": zipped("a.csv")}
UNREADABLE = {
    "no rows": b"PortNumber,AccNumber\n",
    "empty": b"",
    "a torn gzip": gzip.compress(LOCATIONS)[:-9],
    "a torn bzip2": bz2.compress(LOCATIONS)[:20],
    "a torn zip": zipped("a.csv")[:-9],
    "a zip of two files": zipped("a.csv", "b.csv"),
    "an empty zip": zipped(),
    "a torn parquet": b"PAR1 and no more",
}


@pytest.mark.parametrize("status", list(Status))
def test_inputs_and_losses_at_once_begin_where_inputs_may(api: Caller, ready: Analysis, status: Status) -> None:
    Analysis.objects.update(status=status)
    before = Analysis.objects.values().get()

    answer = api.post(f"analyses/{ready.pk}/generate_and_run/")

    if status in INPUTS_START:
        assert (answer.code, answer.body["status"]) == (OK, Status.INPUTS_GENERATION_QUEUED)
        assert answer.body["run_mode"] == "V2"
    else:
        assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"status"})
        assert Analysis.objects.values().get() == before


def test_the_second_of_two_identical_requests_is_refused(api: Caller, ready: Analysis) -> None:
    first = api.post(f"analyses/{ready.pk}/generate_and_run/")
    second = api.post(f"analyses/{ready.pk}/generate_and_run/")

    assert (first.code, second.code, set(second.body)) == (OK, BAD_REQUEST, {"status"})
    assert Run.objects.count() == 1


def test_inputs_and_losses_at_once_need_settings_and_locations(api: Caller, ready: Analysis) -> None:
    Analysis.objects.update(settings_file=None)
    Portfolio.objects.update(location_file=None)

    answer = api.post(f"analyses/{ready.pk}/generate_and_run/")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"settings_file", "portfolio"})
    assert not Run.objects.exists()


@pytest.mark.parametrize("run_mode", ["V1", None])
def test_inputs_and_losses_at_once_need_a_model_of_run_mode_v2(
    api: Caller, ready: Analysis, run_mode: str | None
) -> None:
    RiskModel.objects.update(run_mode=run_mode)

    answer = api.post(f"analyses/{ready.pk}/generate_and_run/")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"model"})


def test_inputs_and_losses_at_once_end_in_losses(api: Caller, ready: Analysis, workers: Workers) -> None:
    api.post(f"analyses/{ready.pk}/generate_and_run/")

    workers.finish_all()

    shown = api.get(f"analyses/{ready.pk}/").body
    assert (shown["status"], shown["run_mode"]) == (Status.RUN_COMPLETED, "V2")
    assert shown["input_file"] is not None
    assert shown["output_file"] is not None


@pytest.mark.parametrize("action", ["cancel", "cancel_analysis_run"])
def test_between_inputs_and_losses_the_losses_are_cancelled(
    api: Caller, ready: Analysis, workers: Workers, action: str
) -> None:
    api.post(f"analyses/{ready.pk}/generate_and_run/")
    workers.take("cleanup-input-generation")
    between = api.get(f"analyses/{ready.pk}/").body["status"]

    answer = api.post(f"analyses/{ready.pk}/{action}/")

    assert between == Status.READY
    assert (answer.code, answer.body["status"]) == (OK, Status.RUN_CANCELLED)


def test_another_run_mode_may_be_asked_for(api: Caller, ready: Analysis) -> None:
    answer = api.post(f"analyses/{ready.pk}/run/?run_mode_override=V1")

    assert (answer.code, answer.body["run_mode"]) == (OK, "V1")
    assert not Run.objects.get().queue.endswith("-v2")


def test_a_model_without_a_run_mode_runs_in_the_one_that_is_asked_for(api: Caller, ready: Analysis) -> None:
    RiskModel.objects.update(run_mode=None)

    refused = api.post(f"analyses/{ready.pk}/generate_inputs/")
    accepted = api.post(f"analyses/{ready.pk}/generate_inputs/?run_mode_override=V2")

    assert (refused.code, set(refused.body)) == (BAD_REQUEST, {"model"})
    assert (accepted.code, accepted.body["run_mode"]) == (OK, "V2")


@pytest.mark.parametrize("action", ["generate_inputs", "run"])
def test_a_run_mode_that_is_none_is_refused(api: Caller, ready: Analysis, action: str) -> None:
    answer = api.post(f"analyses/{ready.pk}/{action}/?run_mode_override=V3")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"run_mode"})


def test_a_model_of_run_mode_v1_is_run_as_such(api: Caller) -> None:
    row = make_complete_analysis(model=make_model(run_mode="V1"))

    answer = api.post(f"analyses/{row.pk}/generate_inputs/")

    assert (answer.code, answer.body["run_mode"]) == (OK, "V1")


def test_a_model_of_run_mode_v1_that_scales_by_tasks_is_not_run(api: Caller) -> None:
    row = make_complete_analysis(model=make_model(run_mode="V1", scaling={"scaling_strategy": "DYNAMIC_TASKS"}))

    answer = api.post(f"analyses/{row.pk}/run/")

    assert (answer.code, answer.body) == (BAD_REQUEST, ["Model has invalid scaling setting"])


@pytest.mark.parametrize("kind", PACKED)
def test_packed_locations_are_counted(api: Caller, analysis: Analysis, kind: str) -> None:
    Portfolio.objects.update(location_file=make_file(PACKED[kind]))

    answer = api.post(f"analyses/{analysis.pk}/generate_inputs/")

    assert answer.code == OK
    assert Run.objects.get().plan["rows"] == 2


@pytest.mark.parametrize("kind", UNREADABLE)
def test_locations_that_cannot_be_read_are_refused_with_a_sentence(api: Caller, analysis: Analysis, kind: str) -> None:
    Portfolio.objects.update(location_file=make_file(UNREADABLE[kind]))

    answer = api.post(f"analyses/{analysis.pk}/generate_inputs/")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"portfolio"})
    assert "location file" in answer.body["portfolio"][0]
    assert api.get(f"analyses/{analysis.pk}/").body["status"] == Status.NEW


def test_accounts_alone_are_not_enough(api: Caller, analysis: Analysis) -> None:
    Portfolio.objects.update(location_file=None, accounts_file=make_file())

    answer = api.post(f"analyses/{analysis.pk}/generate_inputs/")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"portfolio"})


def test_a_run_is_cut_as_the_model_says(api: Caller, analysis: Analysis, workers: Workers) -> None:
    api.post(f"models/{analysis.model_id}/chunking_configuration/", {"fixed_lookup_chunks": 2})
    api.post(f"analyses/{analysis.pk}/generate_inputs/")

    workers.control()

    assert api.get(f"analyses/{analysis.pk}/").body["lookup_chunks"] == 2


def test_a_run_is_cut_as_the_analysis_says_whatever_the_model_does(
    api: Caller, ready: Analysis, workers: Workers
) -> None:
    api.post(f"models/{ready.model_id}/chunking_configuration/", {"fixed_analysis_chunks": 2})
    api.post(f"analyses/{ready.pk}/chunking_configuration/", {"fixed_analysis_chunks": 3})
    api.post(f"analyses/{ready.pk}/run/")

    workers.control()

    assert api.get(f"analyses/{ready.pk}/").body["analysis_chunks"] == 3


@pytest.fixture
def by_events(api: Caller, ready: Analysis) -> Analysis:
    """An analysis whose losses are cut by the number of events."""
    api.post(
        f"models/{ready.model_id}/chunking_configuration/",
        {"loss_strategy": "DYNAMIC_CHUNKS", "dynamic_events_per_analysis": 100},
    )
    return ready


def settings_with(event_set: dict[str, object]) -> dict[str, object]:
    return {**MODEL_SETTINGS, "model_settings": {"event_set": {"name": "Event set", "desc": "", **event_set}}}


def test_losses_are_cut_by_the_events_of_the_chosen_set(api: Caller, by_events: Analysis, workers: Workers) -> None:
    option = {"id": "p", "desc": "Probabilistic", "number_of_events": 250}
    api.post(f"models/{by_events.model_id}/settings/", settings_with({"default": "p", "options": [option]}))
    api.post(f"analyses/{by_events.pk}/settings/", {**ANALYSIS_SETTINGS, "model_settings": {"event_set": "p"}})

    api.post(f"analyses/{by_events.pk}/run/")
    workers.control()

    assert api.get(f"analyses/{by_events.pk}/").body["analysis_chunks"] == 3


def test_losses_are_cut_by_the_events_that_were_listed(api: Caller, by_events: Analysis, workers: Workers) -> None:
    api.post(f"analyses/{by_events.pk}/settings/", {**ANALYSIS_SETTINGS, "event_ids": list(range(1, 151))})

    api.post(f"analyses/{by_events.pk}/run/")
    workers.control()

    assert api.get(f"analyses/{by_events.pk}/").body["analysis_chunks"] == 2


def test_losses_by_events_need_the_models_settings(api: Caller, by_events: Analysis) -> None:
    answer = api.post(f"analyses/{by_events.pk}/run/")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"model_settings_file"})
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("chosen", "option", "field"),
    [
        ({}, {"number_of_events": 9}, "analysis_settings_file"),
        ({"event_set": "x"}, {"number_of_events": 9}, "settings_files"),
        ({"event_set": "p"}, {}, "model_settings_file"),
    ],
)
def test_losses_by_events_need_to_know_the_events(
    api: Caller, by_events: Analysis, chosen: dict[str, str], option: dict[str, int], field: str
) -> None:
    options = [{"id": "p", "desc": "Probabilistic", **option}]
    api.post(f"models/{by_events.model_id}/settings/", settings_with({"default": "p", "options": options}))
    api.post(f"analyses/{by_events.pk}/settings/", {**ANALYSIS_SETTINGS, "model_settings": chosen})

    answer = api.post(f"analyses/{by_events.pk}/run/")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {field})


@pytest.mark.parametrize("priority", [1, 7])
def test_an_analysis_has_the_priority_that_was_asked_for(api: Caller, analysis: Analysis, priority: int) -> None:
    api.patch(f"analyses/{analysis.pk}/", {"priority": priority})

    api.post(f"analyses/{analysis.pk}/generate_inputs/")

    assert Run.objects.get().priority == priority


@pytest.mark.parametrize("priority", [0, 11, -1, "high", None, 1.5])
def test_a_priority_is_a_whole_number_from_one_to_ten(api: Caller, analysis: Analysis, priority: object) -> None:
    answer = api.patch(f"analyses/{analysis.pk}/", {"priority": priority})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"priority"})


@pytest.mark.parametrize("priority", [8, 9, 10])
def test_the_highest_priorities_are_for_staff(
    api: Caller, portfolio: Portfolio, model: RiskModel, priority: int
) -> None:
    body = {"name": "A", "portfolio": portfolio.pk, "model": model.pk, "priority": priority}

    assert api.post("analyses/", body).code == BAD_REQUEST
    assert Caller(make_user(staff=True), "v2").post("analyses/", body).code == CREATED


def test_a_new_analysis_has_a_priority_of_four_and_no_sub_tasks(
    api: Caller, portfolio: Portfolio, model: RiskModel
) -> None:
    answer = api.post("analyses/", {"name": "A", "portfolio": portfolio.pk, "model": model.pk})

    assert (answer.body["priority"], answer.body["sub_task_count"]) == (4, 0)
    assert answer.body["sub_task_error_ids"] == []
    assert set(answer.body["status_count"].values()) == {0}


def test_a_copy_keeps_the_chunking_of_its_own(api: Caller, analysis: Analysis) -> None:
    api.post(f"analyses/{analysis.pk}/chunking_configuration/", {"fixed_analysis_chunks": 3})

    copied = api.post(f"analyses/{analysis.pk}/copy/").body["id"]

    assert api.get(f"analyses/{copied}/chunking_configuration/").body["fixed_analysis_chunks"] == 3
