"""A worker logs as it is asked to, and tells no secret, however much it is to say."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.live_server import START_SECONDS

HUSH = "hush-hush"
AWAY = "127.0.0.1:1"


def test_a_worker_without_server_and_broker_tells_no_secret(tmp_path: Path) -> None:
    log = tmp_path / "log"
    environment = {
        **os.environ,
        "QANAT_BROKER_URL": f"amqp://qanat:{HUSH}@{AWAY}//",
        "QANAT_SERVER": f"http://{AWAY}/",
        "QANAT_WORKER_KEY": HUSH,
        "OASIS_CELERY_DB_PASS": HUSH,
        "OASIS_BASE_RUN_DIR": str(tmp_path / "work"),
        "OASIS_DEBUG": "true",
        "QANAT_LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "qanat.worker", "--run-mode", "server-internal"]
    with log.open("wb") as output:
        worker = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not all(words in log.read_text() for words in ("Server or broker is away", "Cannot connect to amqp")):
            assert worker.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
    finally:
        worker.kill()
        worker.wait()

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {(line["process"], line.get("model")) for line in lines} == {
        ("worker", None),
        ("worker", "oasis-internal-worker"),
    }
    assert HUSH not in log.read_text()
