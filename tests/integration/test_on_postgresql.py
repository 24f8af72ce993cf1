"""The engine's tests once more, on a real PostgreSQL: the same code, the same tests."""

import os
import subprocess
import sys

import pytest

from tests import postgres
from tests.conftest import ROOT


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_engine_passes_the_same_tests_on_postgresql() -> None:
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL's binaries are not installed: apt-get install postgresql")

    with postgres.server() as url:
        environment = {**os.environ, "QANAT_DATABASE_URL": url, "QANAT_MACHINE_STEPS": "3000"}
        options = ["-q", "-p", "no:cacheprovider", "--show-capture=no"]
        command = [sys.executable, "-m", "pytest", *options, "tests/integration/engine"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-5000:]
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout
