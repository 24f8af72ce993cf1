"""One stage a database for all tests of what is pushed."""

from collections.abc import Iterator

import pytest

from tests import postgres
from tests.integration.push import backstage
from tests.integration.push.backstage import Somebody
from tests.integration.push.stage import Stage, staged

NEVER = "86400"


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The processes, on each database. PostgreSQL's must be woken by it: the next look of their own is days away."""
    folder = tmp_path_factory.mktemp("stage")
    if request.param == "sqlite":
        with staged(folder, {"QANAT_LOOK_INTERVAL_SECONDS": "0.05"}) as stage:
            yield stage
        return
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL's binaries are not installed: apt-get install postgresql")
    with (
        postgres.server() as url,
        staged(folder, {"QANAT_DATABASE_URL": url, "QANAT_LOOK_INTERVAL_SECONDS": NEVER}) as stage,
    ):
        yield stage


@pytest.fixture
def me(stage: Stage) -> Somebody:
    """A user with a group of their own."""
    return stage.do(backstage.somebody)


@pytest.fixture
def other(stage: Stage) -> Somebody:
    """A user with another group."""
    return stage.do(backstage.somebody)


@pytest.fixture
def ready(stage: Stage, me: Somebody) -> int:
    """An analysis of mine that can be run."""
    return stage.do(backstage.analysis, me.group)


@pytest.fixture
def running(stage: Stage, me: Somebody, ready: int) -> int:
    """An analysis of mine whose losses are planned."""
    stage.do(backstage.begin, ready, me.id)
    return ready
