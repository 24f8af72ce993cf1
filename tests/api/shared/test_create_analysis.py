"""An analysis created from a portfolio: its inputs are queued at once."""

from qanat.server.portfolios.models import Portfolio
from qanat.server.risk_models.models import RiskModel
from qanat.server.runs.models import Run
from tests.api.caller import CREATED, Caller
from tests.api.shared.test_analyses import FIELDS


def test_an_analysis_is_created_from_a_portfolio_and_begins_at_once(
    api: Caller, portfolio: Portfolio, model: RiskModel, version: str
) -> None:
    answer = api.post(f"portfolios/{portfolio.pk}/create_analysis/", {"name": "Windstorm", "model": model.pk})

    assert (answer.code, set(answer.body)) == (CREATED, FIELDS[version])
    assert (answer.body["status"], answer.body["portfolio"]) == ("INPUTS_GENERATION_QUEUED", portfolio.pk)
    assert Run.objects.get().mode == version.upper()
