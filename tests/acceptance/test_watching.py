"""What a whole platform tells of itself at the API's port, of all its roles."""

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from qanat.cli.client import Client
from qanat.cli.up.platform import Platform
from qanat.contract import queues
from tests.documents import LOCATIONS
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("platform")]


def test_the_api_tells_what_the_monitor_has_recorded_and_which_workers_live(
    platform: Platform, client: Client, tmp_path: Path
) -> None:
    location = tmp_path / "location.csv"
    location.write_bytes(LOCATIONS)
    portfolio = client.post("portfolios/", {"name": "watched"})["id"]
    client.upload(f"portfolios/{portfolio}/location_file/", location)

    client.post(f"portfolios/{portfolio}/validate/")
    until(lambda: client.get(f"portfolios/{portfolio}/")["validation_status"] != "STARTED", what="it is validated")

    told = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(httpx.get(f"{platform.url}/metrics", timeout=30).text)
        for sample in family.samples
    }
    assert told["qanat_steps_committed_total", queues.INTERNAL_WORKER] >= 1  # by the API, for the worker
    assert told["qanat_steps_committed_total", queues.V1_RECORDS] >= 1  # by the worker monitor
    assert told["qanat_workers", queues.INTERNAL_WORKER] == 1
    assert told["qanat_runs", "succeeded"] >= 1
