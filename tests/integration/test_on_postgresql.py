"""Tests once more, on a real PostgreSQL: the same code, the same tests.

The engine's, by our workers and by stock ones, for locks and transactions differ; the API's with odd input, for SQLite
keeps characters and lengths that PostgreSQL refuses.
"""

import os
import subprocess
import sys

import pytest

from tests import postgres
from tests.conftest import ROOT

ENGINE = {"paths": ["tests/integration/engine"], "QANAT_MACHINE_STEPS": "3000"}
STOCK = {"paths": ["tests/integration/stock"], "QANAT_MACHINE_STEPS": "3000"}
API = {
    "paths": [
        "tests/api/fuzz",
        *(f"tests/api/shared/test_{name}.py" for name in ("hostile_input", "pages", "query_counts")),
        *(f"tests/api/login/test_{name}.py" for name in ("hostile_input", "provider_users", "throttle")),
    ],
    "QANAT_FUZZ_CASES": "600",
}


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("tests", [ENGINE, STOCK, API], ids=["engine", "stock", "api"])
def test_the_same_tests_pass_on_postgresql(tests: dict[str, str | list[str]]) -> None:
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL's binaries are not installed: apt-get install postgresql")

    variables = {name: value for name, value in tests.items() if isinstance(value, str)}
    with postgres.server() as url:
        environment = {**os.environ, **variables, "QANAT_DATABASE_URL": url}
        options = ["-q", "-p", "no:cacheprovider", "--show-capture=no"]
        command = [sys.executable, "-m", "pytest", *options, *tests["paths"]]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-5000:]
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout
