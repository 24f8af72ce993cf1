"""Settings given inline with a model or an analysis."""

from qanat.server.analyses.models import Analysis
from qanat.server.portfolios.models import Portfolio
from qanat.server.risk_models.models import RiskModel
from tests.api.caller import BAD_REQUEST, CREATED, OK, Caller
from tests.documents import ANALYSIS_SETTINGS, MODEL_SETTINGS

IDENTITY = {"supplier_id": "OasisLMF", "model_id": "PiWind", "version_id": "2"}


def test_a_model_takes_its_settings_along(api: Caller) -> None:
    answer = api.post("models/", {**IDENTITY, "settings": {**MODEL_SETTINGS, "model_run_mode": "V2"}})

    assert answer.code == CREATED
    assert answer.body["settings"].endswith(f"/v2/models/{answer.body['id']}/settings/")
    assert answer.body["run_mode"] == "V2"
    assert api.get(f"models/{answer.body['id']}/settings/").body["model_run_mode"] == "V2"


def test_a_model_with_broken_settings_is_not_made(api: Caller) -> None:
    answer = api.post("models/", {**IDENTITY, "settings": {"model_settings": {}}})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"model_settings_schema required"})
    assert not RiskModel.objects.exists()


def test_an_analysis_takes_its_settings_along(api: Caller, portfolio: Portfolio, model: RiskModel) -> None:
    body = {"name": "A", "portfolio": portfolio.pk, "model": model.pk, "settings": ANALYSIS_SETTINGS}

    answer = api.post("analyses/", body)

    assert answer.code == CREATED
    assert answer.body["settings"].endswith(f"/v2/analyses/{answer.body['id']}/settings/")
    assert api.get(f"analyses/{answer.body['id']}/settings/").body["model_name_id"] == "PiWind"


def test_an_analysis_with_broken_settings_is_not_made(api: Caller, portfolio: Portfolio, model: RiskModel) -> None:
    body = {"name": "A", "portfolio": portfolio.pk, "model": model.pk, "settings": {}}

    answer = api.post("analyses/", body)

    assert answer.code == BAD_REQUEST
    assert "no output" in answer.body
    assert not Analysis.objects.exists()


def test_a_change_may_bring_settings(api: Caller, analysis: Analysis) -> None:
    answer = api.patch(f"analyses/{analysis.pk}/", {"settings": {**ANALYSIS_SETTINGS, "number_of_samples": 7}})

    assert (answer.code, answer.body["name"]) == (OK, analysis.name)
    assert api.get(f"analyses/{analysis.pk}/settings/").body["number_of_samples"] == 7
