"""A whole platform, as ``qanat up`` starts it, that the acceptance tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from qanat.cli.client import Client
from qanat.cli.run import connect
from qanat.cli.up.layout import Layout
from qanat.cli.up.platform import Platform, free_port
from qanat.demo.model import write_model
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
