"""An analysis created from a portfolio in V1 runs as V1, whatever the model's mode."""

import pytest

from qanat.server.portfolios.models import Portfolio
from qanat.server.runs.models import Run
from tests.api.caller import CREATED, Caller
from tests.factories import make_model


@pytest.mark.parametrize("run_mode", ["V1", "V2", None])
def test_an_analysis_is_created_from_a_portfolio_and_begins_at_once(
    api: Caller, portfolio: Portfolio, run_mode: str | None
) -> None:
    model = make_model(run_mode=run_mode)

    answer = api.post(f"portfolios/{portfolio.pk}/create_analysis/", {"name": "Windstorm", "model": model.pk})

    assert (answer.code, answer.body["status"]) == (CREATED, "INPUTS_GENERATION_QUEUED")
    assert answer.body["portfolio"] == portfolio.pk
    assert Run.objects.get().mode == "V1"
