"""PiWind's losses are the same where files lie in S3 or in Azure Blob, and nothing of them lies on this machine."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from qanat.cli.client import Client
from qanat.cli.run import connect
from qanat.cli.up.layout import Layout
from qanat.cli.up.platform import Platform, free_port
from tests.acceptance.conftest import HOST
from tests.acceptance.test_golden import CASES, named, run_and_compare
from tests.object_stores import REMOTE, ObjectStore

pytestmark = [pytest.mark.piwind, pytest.mark.slow, pytest.mark.timeout(900)]
LOCATION = "qanat/files"


@contextmanager
def platform_on(store: ObjectStore, *, piwind: Path, folder: Path) -> Iterator[Platform]:
    """Run a platform whose files lie in an object store."""
    up = Platform(
        layout=Layout(folder),
        models=[piwind / "model"],
        host=HOST,
        port=free_port(HOST),
        websocket_port=free_port(HOST),
    )
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("AWS_")]:
                patch.delenv(name)
            for name, value in store.environment.items():
                patch.setenv(name, value)
            patch.setenv(f"QANAT_{'AWS' if store.kind == 's3' else 'AZURE'}_LOCATION", LOCATION)
            patch.delenv("QANAT_DATABASE_URL", raising=False)
            stack.enter_context(up)
        yield up


@pytest.fixture(scope="module")
def s3_platform(s3_server: ObjectStore, piwind: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform whose files lie in S3."""
    with platform_on(s3_server, piwind=piwind, folder=tmp_path_factory.mktemp("s3")) as up:
        yield up


@pytest.fixture(scope="module")
def azure_platform(
    azure_server: ObjectStore, piwind: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A platform whose files lie in Azure Blob."""
    with platform_on(azure_server, piwind=piwind, folder=tmp_path_factory.mktemp("azure")) as up:
        yield up


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest, kind: str) -> Platform:
    """A platform whose files lie in an object store of this kind."""
    up: Platform = request.getfixturevalue(f"{kind}_platform")
    return up


@pytest.fixture
def client(elsewhere: Platform) -> Iterator[Client]:
    """Its first administrator, logged in."""
    with connect(server=None, user=None, password=None, data_dir=elsewhere.layout.root) as client:
        yield client


@pytest.mark.parametrize("kind", REMOTE)
@pytest.mark.parametrize("chunks", [None, 2], ids=named)
@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_expected_and_their_files_lie_elsewhere(
    elsewhere: Platform, client: Client, piwind: Path, tmp_path: Path, case: str, chunks: int | None
) -> None:
    analysis = run_and_compare(client, piwind, tmp_path / "results", case=case, chunks=chunks)

    links = client.get(f"analyses/{analysis}/storage_links/")
    assert links["output_file"].startswith(f"{LOCATION}/")
    assert not (elsewhere.layout.root / "media").exists()
    assert list((elsewhere.layout.root / "uploads").iterdir()) == []
