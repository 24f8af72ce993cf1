"""Fixtures of the tests of the API: somebody without groups, and what they need for an analysis."""

import pytest
from django.contrib.auth.models import Group, User

from qanat.server.analyses.models import Analysis
from qanat.server.config import celery  # noqa: F401 - as the server's entry point does
from qanat.server.portfolios.models import Portfolio
from qanat.server.risk_models.models import RiskModel
from qanat.server.runs import doorbell
from tests.api.caller import Caller
from tests.api.world import Workers
from tests.factories import (
    make_analysis,
    make_complete_analysis,
    make_group,
    make_model,
    make_portfolio,
    make_user,
)

VERSIONS = ("v1", "v2")


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Each version of the API."""
    return str(request.param)


@pytest.fixture
def user(db: None) -> User:
    """Somebody without groups."""
    return make_user()


@pytest.fixture
def group(db: None) -> Group:
    """A group."""
    return make_group()


@pytest.fixture
def member(group: Group) -> User:
    """Somebody of the group."""
    return make_user(group)


@pytest.fixture
def api(user: User, version: str) -> Caller:
    """The API for somebody without groups."""
    return Caller(user, version)


@pytest.fixture
def portfolio(db: None) -> Portfolio:
    """A portfolio with two locations."""
    return make_portfolio()


@pytest.fixture
def model(db: None, version: str) -> RiskModel:
    """A model that the version runs in its own mode."""
    return make_model(run_mode=version.upper())


@pytest.fixture
def analysis(portfolio: Portfolio, model: RiskModel) -> Analysis:
    """A new analysis."""
    return make_analysis(portfolio=portfolio, model=model)


@pytest.fixture
def ready(portfolio: Portfolio, model: RiskModel) -> Analysis:
    """An analysis with inputs and settings."""
    return make_complete_analysis(portfolio=portfolio, model=model)


@pytest.fixture
def workers(db: None, monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Workers that a test lets work; they hear the engine's doorbells."""
    workers = Workers()
    monkeypatch.setattr(doorbell, "ring", workers.ring)
    return workers
