"""Every method of the stock Python client against a running platform: of the pinned version, and of an older one."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from qanat.cli.client import Client
from qanat.cli.run import find_model
from qanat.cli.up.layout import read_json
from qanat.cli.up.platform import Platform
from qanat.demo import MODEL_ID, SUPPLIER_ID
from qanat.demo.portfolio import write_portfolio
from tests.acceptance.faults import small
from tests.acceptance.stock_client.caller import StockClient, running
from tests.acceptance.stock_client.calls import calls_of
from tests.acceptance.stock_client.versions import OLDER, PINNED, older_python

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("platform")]


@pytest.fixture(scope="session")
def setting(platform: Platform, client: Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a client is told: how to log in as the first administrator, and what to work on."""
    login = read_json(platform.layout.admin)
    files = small(write_portfolio(tmp_path_factory.mktemp("stock-client"), locations=20))
    return {
        "client": {"api_url": platform.url, "username": login["username"], "password": login["password"]},
        "files": {name: str(path) for name, path in asdict(files).items()},
        "model": int(find_model(client, f"{SUPPLIER_ID}/{MODEL_ID}")["id"]),
    }


@pytest.fixture(scope="session")
def pinned(setting: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[StockClient]:
    """The client that the kernel's package brings."""
    # Where it is not told, it asks the server, which tells only who has logged in.
    told = {**setting, "client": {**setting["client"], "auth_type": "simple"}}
    with running(Path(sys.executable), setting=told, folder=tmp_path_factory.mktemp("pinned")) as stock:
        yield stock


@pytest.fixture(scope="session")
def older(setting: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[StockClient]:
    """The client of another version."""
    with running(older_python(), setting=setting, folder=tmp_path_factory.mktemp("older")) as stock:
        yield stock


@pytest.fixture
def stock(request: pytest.FixtureRequest, version: str) -> StockClient:
    """The client of a version."""
    found: StockClient = request.getfixturevalue({PINNED: "pinned", OLDER: "older"}[version])
    return found


@pytest.mark.parametrize("version", [PINNED, OLDER])
def test_every_method_of_the_client_is_called(stock: StockClient, version: str) -> None:
    assert set(calls_of(version)) == stock.methods


@pytest.mark.parametrize(
    ("version", "method"), [(version, method) for version in (PINNED, OLDER) for method in sorted(calls_of(version))]
)
def test_a_method_of_the_client(stock: StockClient, method: str) -> None:
    stock.call(method)
