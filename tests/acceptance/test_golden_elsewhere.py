"""PiWind's losses are the same where files lie in S3 or in Azure Blob, and nothing of them lies on this machine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from qanat.cli.run import connect
from qanat.cli.up.layout import Layout
from qanat.cli.up.platform import Platform, free_port
from tests.acceptance.conftest import HOST
from tests.acceptance.test_golden import run_and_compare

pytestmark = [
    pytest.mark.piwind,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("platform elsewhere"),
]


@pytest.fixture(params=["s3", "azure"])
def elsewhere(
    request: pytest.FixtureRequest, tmp_path: Path, piwind: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Platform]:
    """A platform whose files lie in an object store."""
    store = request.getfixturevalue(f"{request.param}_server")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(f"QANAT_{'AWS' if store.kind == 's3' else 'AZURE'}_LOCATION", "qanat/files")
    monkeypatch.delenv("QANAT_DATABASE_URL", raising=False)
    platform = Platform(
        layout=Layout(tmp_path / "platform"),
        models=[piwind / "model"],
        host=HOST,
        port=free_port(HOST),
        websocket_port=free_port(HOST),
    )
    with platform:
        yield platform


def test_losses_are_those_expected_and_their_files_lie_elsewhere(
    elsewhere: Platform, piwind: Path, tmp_path: Path
) -> None:
    with connect(server=None, user=None, password=None, data_dir=elsewhere.layout.root) as client:
        run_and_compare(client, piwind, tmp_path / "results", case="control_set", chunks=2)
        links = client.get("analyses/1/storage_links/")

    assert links["output_file"].startswith("qanat/files/")
    assert not (elsewhere.layout.root / "media").exists()
    assert not [path for path in (elsewhere.layout.root / "uploads").iterdir() if path.is_file()]
