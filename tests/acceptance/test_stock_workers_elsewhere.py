"""Stand-ins for stock workers complete runs where they share a bucket with the server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from qanat.cli.run import connect
from qanat.cli.up import broker
from qanat.cli.up.layout import Layout
from qanat.cli.up.platform import Platform, free_port
from tests.acceptance.conftest import HOST
from tests.acceptance.stock_workers import LOSSES, Analyses, StandIn
from tests.object_stores import NAME, S3_KEY_ID, S3_SECRET, ObjectStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("stock workers elsewhere")]


@pytest.fixture(scope="module")
def bucket_platform(s3_server: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform whose files lie in a bucket that its workers share."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in s3_server.environment.items():
            patch.setenv(name, value)
        patch.delenv("QANAT_DATABASE_URL", raising=False)
        layout = Layout(tmp_path_factory.mktemp("bucket-platform"))
        up = Platform(layout=layout, models=[], host=HOST, port=free_port(HOST), websocket_port=free_port(HOST))
        with up:
            yield up


@pytest.mark.parametrize("mode", ["v1", "v2"])
def test_a_stock_worker_completes_a_run_in_a_shared_bucket(
    mode: str, bucket_platform: Platform, s3_server: ObjectStore, tmp_path: Path
) -> None:
    storage = {
        "STAND_IN_S3": s3_server.endpoint,
        "STAND_IN_BUCKET": NAME,
        "AWS_ACCESS_KEY_ID": S3_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": S3_SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with (
        connect(server=None, user=None, password=None, data_dir=bucket_platform.layout.root) as client,
        StandIn(mode, broker.url(bucket_platform.layout), tmp_path / "worker", storage) as worker,
    ):
        analyses = Analyses(client, tmp_path / "analyses")
        analysis = analyses.create(worker)

        analyses.run(analysis)

        assert analyses.losses(analysis) == LOSSES
    assert not (bucket_platform.layout.root / "media").exists()
