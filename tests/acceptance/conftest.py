"""A whole platform, as ``qanat up`` starts it, that the acceptance tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from qanat.cli.client import Client
from qanat.cli.run import connect
from qanat.cli.up import broker
from qanat.cli.up.layout import Layout
from qanat.cli.up.platform import Platform, free_port
from qanat.demo.model import write_model
from tests.acceptance.stock_workers import LEASE_SECONDS, MODES, Analyses, StandIn
from tests.conftest import find_piwind

HOST = "127.0.0.1"


@pytest.fixture(scope="session")
def demo_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration model's folder."""
    folder = tmp_path_factory.mktemp("demo-model")
    write_model(folder)
    return folder


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory, demo_model: Path) -> Iterator[Platform]:
    """A running platform with the demonstration model, and with PiWind where it is there."""
    piwind = find_piwind()
    models = [demo_model, *([piwind / "model"] if piwind else [])]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("QANAT_DATABASE_URL", raising=False)
        patch.setenv("QANAT_LEASE_SECONDS", "6")
        layout = Layout(tmp_path_factory.mktemp("platform"))
        up = Platform(layout=layout, models=models, host=HOST, port=free_port(HOST), websocket_port=free_port(HOST))
        with up:
            yield up


@pytest.fixture(scope="session")
def client(platform: Platform) -> Iterator[Client]:
    """The first administrator, logged in."""
    with connect(server=None, user=None, password=None, data_dir=platform.layout.root) as client:
        yield client


@pytest.fixture(scope="module")
def stock_platform(broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform without a model of its own, on the module's broker or, where that is nothing, on its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("QANAT_DATABASE_URL", raising=False)
        patch.setenv("QANAT_LEASE_SECONDS", str(LEASE_SECONDS))
        if broker_url:
            patch.setattr(broker, "url", lambda _: broker_url)
        layout = Layout(tmp_path_factory.mktemp("stock-platform"))
        up = Platform(layout=layout, models=[], host=HOST, port=free_port(HOST), websocket_port=free_port(HOST))
        with up:
            yield up


@pytest.fixture(scope="module")
def analyses(stock_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Analyses]:
    """Analyses on it, of the first administrator."""
    with connect(server=None, user=None, password=None, data_dir=stock_platform.layout.root) as client:
        yield Analyses(client, tmp_path_factory.mktemp("analyses"))


@pytest.fixture(scope="module")
def workers(
    broker_url: str, stock_platform: Platform, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, StandIn]]:
    """A stand-in of each mode."""
    storage = {"STAND_IN_MEDIA_ROOT": str(stock_platform.layout.root / "media")}
    url = broker_url or broker.url(stock_platform.layout)
    found = {mode: StandIn(mode, url, tmp_path_factory.mktemp(mode), storage) for mode in MODES}
    with found["v1"], found["v2"]:
        yield found


@pytest.fixture(params=MODES)
def worker(request: pytest.FixtureRequest, workers: dict[str, StandIn]) -> Iterator[StandIn]:
    """A stand-in of each mode, without wishes."""
    found = workers[request.param]
    yield found
    found.forget()
