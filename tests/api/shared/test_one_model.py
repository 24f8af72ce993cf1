"""One model: changed and hidden; its settings, versions and data files."""

import pytest

from qanat.server.analyses.models import Analysis
from qanat.server.risk_models.models import RiskModel
from tests.api.caller import BAD_REQUEST, NO_CONTENT, NOT_FOUND, OK, Caller
from tests.documents import MODEL_SETTINGS
from tests.factories import make_data_file, make_model

IDENTITY = {"supplier_id": "OasisLMF", "model_id": "PiWind", "version_id": "2"}
VERSIONS = {
    "v1": {"ver_ktools", "ver_oasislmf", "ver_platform"},
    "v2": {"ver_ktools", "ver_oasislmf", "ver_platform", "ver_ods", "ver_oed"},
}


def test_a_model_cannot_be_given_anothers_identity(api: Caller, model: RiskModel) -> None:
    api.post("models/", IDENTITY)

    answer = api.patch(f"models/{model.pk}/", IDENTITY)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"non_field_errors"})


def test_a_model_is_changed(api: Caller, model: RiskModel) -> None:
    answer = api.patch(f"models/{model.pk}/", {"version_id": "3"})

    assert (answer.code, answer.body["version_id"]) == (OK, "3")


def test_a_models_links_are_of_the_version_that_was_asked(api: Caller, model: RiskModel, version: str) -> None:
    answer = api.get(f"models/{model.pk}/")

    assert answer.body["settings"] == f"http://testserver/{version}/models/{model.pk}/settings/"
    assert answer.body["versions"] == f"http://testserver/{version}/models/{model.pk}/versions/"


def test_a_deleted_model_is_hidden_everywhere(api: Caller, model: RiskModel) -> None:
    answer = api.delete(f"models/{model.pk}/")

    assert (answer.code, answer.content) == (NO_CONTENT, b"")
    assert api.get("models/").body == []
    for route in ("", "settings/", "versions/", "data_files/", "storage_links/"):
        assert api.get(f"models/{model.pk}/{route}").code == NOT_FOUND


def test_an_analysis_keeps_pointing_at_a_deleted_model(api: Caller, analysis: Analysis, model: RiskModel) -> None:
    api.delete(f"models/{model.pk}/")

    shown = api.get(f"analyses/{analysis.pk}/")
    refused = api.post(f"analyses/{analysis.pk}/generate_inputs/")

    assert (shown.code, shown.body["model"]) == (OK, model.pk)
    assert (refused.code, set(refused.body)) == (BAD_REQUEST, {"model"})


def test_settings_come_back_as_they_were_given(api: Caller, model: RiskModel) -> None:
    receipt = api.post(f"models/{model.pk}/settings/", MODEL_SETTINGS)

    assert (receipt.code, receipt.body["filename"]) == (OK, "model_settings.json")
    assert set(receipt.body) == {"created", "file", "filename", "groups", "conversion_state"}
    assert api.get(f"models/{model.pk}/settings/").body == MODEL_SETTINGS
    assert api.get(f"models/{model.pk}/storage_links/").body == {"settings_file": receipt.body["file"]}


def test_settings_that_name_a_run_mode_set_it(api: Caller, model: RiskModel, version: str) -> None:
    RiskModel.objects.update(run_mode=None)

    api.post(f"models/{model.pk}/settings/", {**MODEL_SETTINGS, "model_run_mode": version.upper()})

    assert api.get(f"models/{model.pk}/").body["run_mode"] == version.upper()


def test_settings_are_deleted(api: Caller, model: RiskModel) -> None:
    route = f"models/{model.pk}/settings/"
    api.post(route, MODEL_SETTINGS)

    answer = api.delete(route)

    assert (answer.code, answer.content) == (OK, b"")
    assert api.get(route).code == api.delete(route).code == NOT_FOUND


@pytest.mark.parametrize(
    ("document", "path", "reason"),
    [
        ({}, "model_settings_schema required", "'lookup_settings' is a required property"),
        ({**MODEL_SETTINGS, "extra": 1}, "model_settings_schema additionalProperties", "'extra' was unexpected"),
        ({**MODEL_SETTINGS, "model_settings": []}, "model_settings_schema model_settings", "not of type 'object'"),
        (
            {**MODEL_SETTINGS, "lookup_settings": {"supported_perils": [{"id": "WTC"}]}},
            "model_settings_schema lookup_settings-supported_perils-0",
            "'desc' is a required property",
        ),
        ([], "error", "must be a JSON object"),
    ],
)
def test_broken_settings_are_refused_with_path_and_reason(
    api: Caller, model: RiskModel, document: object, path: str, reason: str
) -> None:
    answer = api.post(f"models/{model.pk}/settings/", document)

    assert answer.code == BAD_REQUEST
    assert reason in " ".join(answer.body[path])
    assert api.get(f"models/{model.pk}/settings/").code == NOT_FOUND


def test_settings_that_are_no_json_are_refused(api: Caller, model: RiskModel) -> None:
    answer = api.send("post", f"models/{model.pk}/settings/", "{")

    assert answer.code == BAD_REQUEST
    assert answer.body["detail"].startswith("JSON parse error")


def test_versions_are_those_that_the_worker_reported(api: Caller, version: str) -> None:
    model = make_model(run_mode=version.upper(), ver_oasislmf="2.5.8", ver_ods="5.0.9")

    answer = api.get(f"models/{model.pk}/versions/")

    assert (answer.code, set(answer.body)) == (OK, VERSIONS[version])
    assert (answer.body["ver_oasislmf"], answer.body["ver_ktools"]) == ("2.5.8", None)


def test_a_models_data_files_are_shown_as_such(api: Caller, model: RiskModel) -> None:
    files = [make_data_file(file_description=text) for text in ("b", "a")]
    model.data_files.set(files)

    answer = api.get(f"models/{model.pk}/data_files/")

    assert [row["file_description"] for row in answer.body] == ["b", "a"]
