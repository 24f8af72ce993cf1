"""Analyses: create, change, copy, delete; their settings."""

import pytest
from django.contrib.auth.models import User

from qanat.contract.statuses import AnalysisStatus
from qanat.server.analyses.models import Analysis
from qanat.server.portfolios.models import Portfolio
from qanat.server.risk_models.models import RiskModel
from qanat.server.runs.models import Run
from tests.api.caller import BAD_REQUEST, CREATED, NO_CONTENT, NOT_FOUND, OK, Caller
from tests.documents import ANALYSIS_SETTINGS
from tests.factories import make_analysis, make_data_file, make_model, make_portfolio, make_settings_file

FILES = {
    "input_file",
    "settings_file",
    "lookup_errors_file",
    "lookup_success_file",
    "lookup_validation_file",
    "summary_levels_file",
    "input_generation_traceback_file",
    "output_file",
    "run_traceback_file",
    "run_log_file",
}
BOTH = {
    "created",
    "modified",
    "name",
    "id",
    "portfolio",
    "model",
    "status",
    "task_started",
    "task_finished",
    "complex_model_data_files",
    "settings",
    "storage_links",
    "num_events_total",
    "num_events_complete",
    *FILES,
}
V2_ONLY = {
    "run_mode",
    "priority",
    "groups",
    "lookup_chunks",
    "analysis_chunks",
    "chunking_configuration",
    "sub_task_list",
    "sub_task_count",
    "sub_task_error_ids",
    "status_count",
}
FIELDS = {"v1": BOTH, "v2": BOTH | V2_ONLY}
OURS_IN_DETAIL: dict[str, set[str]] = {"v1": set(), "v2": {"waiting_for"}}
"""Where an analysis is asked for alone."""


@pytest.fixture
def wish(portfolio: Portfolio, model: RiskModel) -> dict[str, object]:
    """What a client sends to create an analysis."""
    return {"name": "Windstorm", "portfolio": portfolio.pk, "model": model.pk}


def test_an_analysis_is_created_from_a_portfolio_and_a_model(
    api: Caller, wish: dict[str, object], version: str
) -> None:
    answer = api.post("analyses/", wish)

    assert (answer.code, set(answer.body)) == (CREATED, FIELDS[version])
    assert {name: answer.body[name] for name in wish} == wish
    assert (answer.body["status"], answer.body["num_events_total"]) == ("NEW", 0)
    assert all(answer.body[field] is None for field in {*FILES, "settings", "task_started", "task_finished"})


def test_a_new_analysis_belongs_to_who_made_it(api: Caller, user: User, wish: dict[str, object]) -> None:
    api.post("analyses/", wish)

    assert Analysis.objects.get().creator == user


def test_an_analysis_is_created_without_a_model(api: Caller, portfolio: Portfolio) -> None:
    answer = api.post("analyses/", {"name": "Windstorm", "portfolio": portfolio.pk})

    assert (answer.code, answer.body["model"]) == (CREATED, None)


def test_an_analysis_is_created_with_data_files(api: Caller, wish: dict[str, object]) -> None:
    data_file = make_data_file()

    answer = api.post("analyses/", {**wish, "complex_model_data_files": [data_file.pk]})

    assert answer.body["complex_model_data_files"] == [data_file.pk]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", None),
        ("name", "x" * 256),
        ("portfolio", None),
        ("portfolio", 99),
        ("portfolio", "mine"),
        ("portfolio", True),
        ("portfolio", 10**30),
        ("model", 99),
        ("model", {"id": 1}),
        ("complex_model_data_files", [99]),
        ("complex_model_data_files", 1),
        ("num_events_total", -1),
        ("num_events_total", "many"),
        ("num_events_complete", None),
    ],
)
def test_a_bad_field_is_refused_by_name(api: Caller, wish: dict[str, object], field: str, value: object) -> None:
    answer = api.post("analyses/", {**wish, field: value})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {field})
    assert not Analysis.objects.exists()


def test_a_portfolio_without_exposure_cannot_be_analysed(api: Caller, wish: dict[str, object]) -> None:
    bare = make_portfolio(exposed=False)

    answer = api.post("analyses/", {**wish, "portfolio": bare.pk})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"portfolio"})


def test_a_model_without_a_run_mode_cannot_be_used(api: Caller, wish: dict[str, object]) -> None:
    RiskModel.objects.update(run_mode=None)

    answer = api.post("analyses/", wish)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"model"})


def test_a_deleted_model_cannot_be_used(api: Caller, wish: dict[str, object]) -> None:
    RiskModel.objects.update(deleted=True)

    answer = api.post("analyses/", wish)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"model"})


def test_broken_json_makes_no_analysis(api: Caller) -> None:
    answer = api.send("post", "analyses/", "{'name'}")

    assert answer.code == BAD_REQUEST
    assert answer.body["detail"].startswith("JSON parse error")


def test_an_analysis_is_shown_with_links_of_the_version_that_was_asked(
    api: Caller, ready: Analysis, version: str
) -> None:
    answer = api.get(f"analyses/{ready.pk}/")

    base = f"http://testserver/{version}/analyses/{ready.pk}"
    assert (answer.code, set(answer.body)) == (OK, FIELDS[version] | OURS_IN_DETAIL[version])
    assert answer.body["input_file"] == f"{base}/input_file/"
    assert answer.body["settings_file"] == f"{base}/settings_file/"
    assert answer.body["settings"] == f"{base}/settings/"
    assert answer.body["storage_links"] == f"{base}/storage_links/"
    assert answer.body["output_file"] is None


def test_an_analysis_is_changed(api: Caller, analysis: Analysis) -> None:
    answer = api.patch(f"analyses/{analysis.pk}/", {"name": "Flood", "num_events_total": 5, "num_events_complete": 2})

    assert (answer.code, answer.body["name"]) == (OK, "Flood")
    assert api.get(f"analyses/{analysis.pk}/run_progress/").body == {"Status": "2/5 gul stages complete"}


def test_a_client_cannot_set_the_status(api: Caller, analysis: Analysis) -> None:
    answer = api.patch(f"analyses/{analysis.pk}/", {"status": "RUN_COMPLETED", "task_started": "2026-01-01T00:00:00Z"})

    assert (answer.code, answer.body["status"], answer.body["task_started"]) == (OK, "NEW", None)


def test_an_analysis_is_replaced(api: Caller, analysis: Analysis, wish: dict[str, object]) -> None:
    other = make_portfolio()

    answer = api.put(f"analyses/{analysis.pk}/", {**wish, "portfolio": other.pk})

    assert (answer.code, answer.body["name"], answer.body["portfolio"]) == (OK, "Windstorm", other.pk)


def test_an_analysis_is_deleted_in_any_state(api: Caller, portfolio: Portfolio, model: RiskModel) -> None:
    rows = [make_analysis(status=status, portfolio=portfolio, model=model) for status in AnalysisStatus]

    answers = [api.delete(f"analyses/{row.pk}/") for row in rows]

    assert {(answer.code, answer.content) for answer in answers} == {(NO_CONTENT, b"")}
    assert not Analysis.objects.exists()
    assert Portfolio.objects.exists()


def test_deleting_an_analysis_ends_its_run(api: Caller, analysis: Analysis) -> None:
    api.post(f"analyses/{analysis.pk}/generate_inputs/")

    api.delete(f"analyses/{analysis.pk}/")

    assert not Run.objects.exists()


@pytest.mark.parametrize("route", ["", "settings/", "run_progress/", "storage_links/", "data_files/", "output_file/"])
def test_an_analysis_that_is_not_there_is_not_found(api: Caller, route: str) -> None:
    answer = api.get(f"analyses/1/{route}")

    assert (answer.code, set(answer.body)) == (NOT_FOUND, {"detail"})


@pytest.mark.parametrize(
    "action", ["generate_inputs", "run", "cancel", "cancel_generate_inputs", "cancel_analysis_run", "copy"]
)
def test_nothing_can_be_done_to_an_analysis_that_is_not_there(api: Caller, action: str) -> None:
    answer = api.post(f"analyses/1/{action}/")

    assert (answer.code, set(answer.body)) == (NOT_FOUND, {"detail"})


def test_storage_links_are_the_keys_of_the_files(api: Caller, ready: Analysis) -> None:
    answer = api.get(f"analyses/{ready.pk}/storage_links/")

    assert (answer.code, set(answer.body)) == (OK, FILES)
    assert answer.body["input_file"] == ready.input_file.key
    assert answer.body["output_file"] is None


def test_settings_come_back_with_the_former_names_beside_the_present_ones(api: Caller, analysis: Analysis) -> None:
    receipt = api.post(f"analyses/{analysis.pk}/settings/", ANALYSIS_SETTINGS)

    assert (receipt.code, receipt.body["filename"]) == (OK, "analysis_settings.json")
    assert set(receipt.body) == {"created", "file", "filename", "groups", "conversion_state"}
    former = {"module_supplier_id": "OasisLMF", "model_version_id": "PiWind"}
    assert api.get(f"analyses/{analysis.pk}/settings/").body == {**ANALYSIS_SETTINGS, **former}


def test_settings_by_their_former_names_are_understood(api: Caller, analysis: Analysis) -> None:
    document = {**ANALYSIS_SETTINGS, "module_supplier_id": "Acme", "model_version_id": "Flood"}
    del document["model_supplier_id"], document["model_name_id"]

    api.post(f"analyses/{analysis.pk}/settings/", document)

    kept = api.get(f"analyses/{analysis.pk}/settings/").body
    assert (kept["model_supplier_id"], kept["model_name_id"]) == ("Acme", "Flood")


def test_posted_settings_are_the_settings_file(api: Caller, analysis: Analysis) -> None:
    api.post(f"analyses/{analysis.pk}/settings/", ANALYSIS_SETTINGS)

    answer = api.get(f"analyses/{analysis.pk}/settings_file/")

    assert (answer.code, answer.headers["Content-Type"]) == (OK, "application/json")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="analysis_settings.json"'
    assert answer.body["model_name_id"] == "PiWind"


@pytest.mark.parametrize(
    ("changes", "path", "reason"),
    [
        ({"model_settings": None}, "analysis_settings_schema model_settings", "None is not of type 'object'"),
        ({"number_of_samples": "ten"}, "analysis_settings_schema number_of_samples", "is not of type 'integer'"),
        (
            {"gul_summaries": [{"id": "one"}]},
            "analysis_settings_schema gul_summaries-0-id",
            "'one' is not of type 'integer'",
        ),
        ({"gul_output": False}, "no output", "please enable at least one output"),
        ({"il_output": True}, "il_summaries missing", "there are no summaries"),
        ({"gul_summaries": [{"id": 1}, {"id": 1}]}, "gul_summaries", "id 1 is duplicated"),
    ],
)
def test_broken_settings_are_refused_with_path_and_reason(
    api: Caller, analysis: Analysis, changes: dict[str, object], path: str, reason: str
) -> None:
    answer = api.post(f"analyses/{analysis.pk}/settings/", {**ANALYSIS_SETTINGS, **changes})

    assert answer.code == BAD_REQUEST
    assert reason in " ".join(answer.body[path])
    assert api.get(f"analyses/{analysis.pk}/settings/").code == NOT_FOUND


def test_all_that_is_wrong_with_settings_is_told_at_once(api: Caller, analysis: Analysis) -> None:
    answer = api.post(f"analyses/{analysis.pk}/settings/", {"number_of_samples": "ten"})

    assert answer.code == BAD_REQUEST
    assert len(answer.body["analysis_settings_schema required"]) == 3
    assert {"analysis_settings_schema number_of_samples", "no output"} <= set(answer.body)


@pytest.mark.parametrize("body", ["{", "", "[1, 2", '{"a": NaN}'])
def test_settings_that_are_no_json_are_refused(api: Caller, analysis: Analysis, body: str) -> None:
    answer = api.send("post", f"analyses/{analysis.pk}/settings/", body)

    assert answer.code == BAD_REQUEST
    assert api.get(f"analyses/{analysis.pk}/settings/").code == NOT_FOUND


@pytest.mark.parametrize("document", [[], "text", 1, None])
def test_settings_that_are_no_object_are_refused(api: Caller, analysis: Analysis, document: object) -> None:
    answer = api.post(f"analyses/{analysis.pk}/settings/", document)

    assert answer.code == BAD_REQUEST


def test_refused_settings_leave_those_before(api: Caller, analysis: Analysis) -> None:
    route = f"analyses/{analysis.pk}/settings/"
    api.post(route, {**ANALYSIS_SETTINGS, "number_of_samples": 7})

    api.post(route, {})

    assert api.get(route).body["number_of_samples"] == 7


def test_settings_are_deleted(api: Caller, analysis: Analysis) -> None:
    route = f"analyses/{analysis.pk}/settings/"
    api.post(route, ANALYSIS_SETTINGS)

    answer = api.delete(route)

    assert (answer.code, answer.content) == (OK, b"")
    assert api.get(route).code == api.delete(route).code == NOT_FOUND
    assert api.get(f"analyses/{analysis.pk}/").body["settings"] is None


def test_a_settings_file_is_kept_as_it_is(api: Caller, analysis: Analysis) -> None:
    route = f"analyses/{analysis.pk}/settings_file/"

    receipt = api.upload(route, b'{"any": "thing"}', name="mine.json", content_type="application/json")

    assert (receipt.code, receipt.body["filename"]) == (OK, "mine.json")
    assert api.get(route).content == b'{"any": "thing"}'
    assert api.get(f"analyses/{analysis.pk}/settings/").body == {"any": "thing"}


@pytest.mark.parametrize("content_type", ["text/csv", "text/plain", "application/octet-stream"])
def test_a_settings_file_of_another_type_is_refused(api: Caller, analysis: Analysis, content_type: str) -> None:
    answer = api.upload(f"analyses/{analysis.pk}/settings_file/", b"{}", name="settings", content_type=content_type)

    assert (answer.code, answer.body) == (BAD_REQUEST, {"file": ["File should be one of [application/json]"]})


def test_a_copy_is_new_with_the_same_settings_and_nothing_of_the_results(
    api: Caller, ready: Analysis, version: str
) -> None:
    data_file = make_data_file()
    ready.complex_model_data_files.add(data_file)

    answer = api.post(f"analyses/{ready.pk}/copy/")

    assert (answer.code, set(answer.body)) == (OK, FIELDS[version])
    assert answer.body["id"] != ready.pk
    assert (answer.body["name"], answer.body["status"]) == ("Analysis - Copy", "NEW")
    assert (answer.body["portfolio"], answer.body["model"]) == (ready.portfolio_id, ready.model_id)
    assert answer.body["complex_model_data_files"] == [data_file.pk]
    assert answer.body["input_file"] is None
    copied = Analysis.objects.get(pk=answer.body["id"])
    assert copied.settings_file.key != ready.settings_file.key
    assert api.get(f"analyses/{copied.pk}/settings/").body == api.get(f"analyses/{ready.pk}/settings/").body


def test_a_copy_takes_the_changes_that_are_asked_for(api: Caller, ready: Analysis, version: str) -> None:
    portfolio, model = make_portfolio(), make_model(run_mode=version.upper())

    answer = api.post(f"analyses/{ready.pk}/copy/", {"name": "Other", "portfolio": portfolio.pk, "model": model.pk})

    assert (answer.body["name"], answer.body["portfolio"], answer.body["model"]) == ("Other", portfolio.pk, model.pk)


def test_a_long_name_is_cut_in_the_copy(api: Caller, analysis: Analysis) -> None:
    Analysis.objects.update(name="x" * 255)

    answer = api.post(f"analyses/{analysis.pk}/copy/")

    assert answer.body["name"] == "x" * 248 + " - Copy"


@pytest.mark.parametrize("body", [{"name": ""}, {"portfolio": 99}, {"model": "x"}])
def test_a_copy_with_bad_changes_is_not_made(api: Caller, analysis: Analysis, body: dict[str, object]) -> None:
    answer = api.post(f"analyses/{analysis.pk}/copy/", body)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, set(body))
    assert Analysis.objects.count() == 1


def test_a_copy_outlives_its_original(api: Caller, ready: Analysis) -> None:
    copied = api.post(f"analyses/{ready.pk}/copy/").body["id"]

    api.delete(f"analyses/{ready.pk}/")

    assert api.get(f"analyses/{copied}/settings/").code == OK


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "A"}, "model"),
        ({"name": "A", "model": None}, "model"),
        ({"name": "A", "model": 99}, "model"),
        ({"name": ""}, "name"),
        ({}, "name"),
    ],
)
def test_an_analysis_that_cannot_begin_is_not_created(
    api: Caller, portfolio: Portfolio, body: dict[str, object], field: str
) -> None:
    answer = api.post(f"portfolios/{portfolio.pk}/create_analysis/", body)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {field})
    assert not Analysis.objects.exists()


def test_a_portfolio_without_exposure_begins_nothing(api: Caller, model: RiskModel) -> None:
    bare = make_portfolio(exposed=False)

    answer = api.post(f"portfolios/{bare.pk}/create_analysis/", {"name": "A", "model": model.pk})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"portfolio"})
    assert not Analysis.objects.exists()


def test_an_analysis_without_a_model_begins_nothing(api: Caller, portfolio: Portfolio) -> None:
    analysis = Analysis.objects.create(name="A", portfolio=portfolio, settings_file=make_settings_file())

    answer = api.post(f"analyses/{analysis.pk}/generate_inputs/")

    assert (answer.code, answer.body) == (BAD_REQUEST, {"model": "Model not assigned to analysis"})
