"""Every method of the stock Python client, as the kernel's package brings it, against a running platform."""

from collections.abc import Iterator

import pytest
from oasislmf.platform_api.client import APIClient

from qanat.cli.client import Client
from qanat.cli.run import find_model
from qanat.cli.up.layout import read_json
from qanat.cli.up.platform import Platform
from qanat.demo import MODEL_ID, SUPPLIER_ID
from qanat.demo.portfolio import write_portfolio
from tests.acceptance.faults import small
from tests.acceptance.stock_client import CALLS, Scene, methods

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("platform"),
    # The client does not close the files that it uploads.
    pytest.mark.usefixtures("leaks_of_others"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="session")
def scene(platform: Platform, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The client, logged in as the first administrator, and what it needs."""
    folder = tmp_path_factory.mktemp("stock-client")
    login = read_json(platform.layout.admin)
    stock = APIClient(api_url=platform.url, auth_type="simple", username=login["username"], password=login["password"])
    files = small(write_portfolio(folder / "portfolio", locations=20))
    with stock.api:
        model = int(find_model(client, f"{SUPPLIER_ID}/{MODEL_ID}")["id"])
        yield Scene(client=stock, files=files, folder=folder).set(model=model)


def test_every_method_of_the_client_is_called() -> None:
    assert set(CALLS) == methods()


@pytest.mark.parametrize("method", sorted(CALLS), ids=str)
def test_a_method_of_the_client(scene: Scene, method: str) -> None:
    CALLS[method](scene)
