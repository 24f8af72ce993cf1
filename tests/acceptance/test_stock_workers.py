"""Stand-ins for stock workers complete runs, also when they are killed, slow or say things twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from qanat.cli.client import Client
from qanat.cli.run import connect
from qanat.cli.up import broker
from qanat.cli.up.layout import Layout
from qanat.cli.up.platform import Platform, free_port
from tests.acceptance.conftest import HOST
from tests.acceptance.faults import until
from tests.acceptance.stock_workers import LOSSES, Analyses, StandIn

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("stock workers")]
MODES = ("v1", "v2")
FIRST = {"v1": "generate_input", "v2": "prepare_keys_file_chunk"}
"""The task in which something happens."""


@pytest.fixture(scope="module")
def stock_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform without a model of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("QANAT_DATABASE_URL", raising=False)
        patch.setenv("QANAT_LEASE_SECONDS", "6")
        layout = Layout(tmp_path_factory.mktemp("stock-platform"))
        up = Platform(layout=layout, models=[], host=HOST, port=free_port(HOST), websocket_port=free_port(HOST))
        with up:
            yield up


@pytest.fixture(scope="module")
def client(stock_platform: Platform) -> Iterator[Client]:
    """The first administrator, logged in."""
    with connect(server=None, user=None, password=None, data_dir=stock_platform.layout.root) as client:
        yield client


@pytest.fixture(scope="module")
def analyses(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Analyses:
    """Analyses on it."""
    return Analyses(client, tmp_path_factory.mktemp("analyses"))


@pytest.fixture(scope="module")
def workers(stock_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, StandIn]]:
    """A stand-in of each mode."""
    storage = {"STAND_IN_MEDIA_ROOT": str(stock_platform.layout.root / "media")}
    url = broker.url(stock_platform.layout)
    found = {mode: StandIn(mode, url, tmp_path_factory.mktemp(mode), storage) for mode in MODES}
    with found["v1"], found["v2"]:
        yield found


@pytest.fixture(params=MODES)
def worker(request: pytest.FixtureRequest, workers: dict[str, StandIn]) -> Iterator[StandIn]:
    """A stand-in of each mode, without wishes."""
    found = workers[request.param]
    yield found
    found.forget()


def test_a_stock_worker_completes_inputs_and_losses(worker: StandIn, analyses: Analyses) -> None:
    analysis = analyses.create(worker)

    shown = analyses.run(analysis)

    assert analyses.losses(analysis) == LOSSES
    assert shown["run_mode"] == worker.mode.upper()
    files = ("input_file", "lookup_errors_file", "lookup_success_file", "lookup_validation_file", "output_file")
    assert [name for name in (*files, "summary_levels_file", "run_log_file") if not shown[name]] == []
    assert "log of" in analyses.text(analysis, "input_generation_traceback_file")


def test_it_leaves_nothing_behind_in_the_shared_storage(
    worker: StandIn, analyses: Analyses, stock_platform: Platform
) -> None:
    analysis = analyses.create(worker)
    media = stock_platform.layout.root / "media"
    analyses.run(analysis)

    analyses.client._http.delete(f"v2/analyses/{analysis}/")

    def left() -> list[Path]:
        return [path for path in media.rglob("*") if path.is_file() and path.stat().st_mtime > 0 and ours(path)]

    def ours(path: Path) -> bool:
        return f"analysis-{analysis}_" in str(path)

    until(lambda: not left(), what="nothing is left")


def test_a_run_is_shown_as_begun_when_the_worker_begins(worker: StandIn, analyses: Analyses) -> None:
    analysis = analyses.create(worker)
    worker.wish(f"wait-{FIRST[worker.mode]}")

    analyses.ask(analysis, "generate_inputs")
    until(lambda: worker.is_waiting(FIRST[worker.mode]), what="the worker begins")

    analyses.reaches(analysis, "INPUTS_GENERATION_STARTED")
    worker.wish("go-on")
    analyses.reaches(analysis, "READY")
