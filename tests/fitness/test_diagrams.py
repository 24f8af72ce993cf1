"""The diagrams in the docs are those of the tables in the code."""

import subprocess
import sys

from tests.conftest import ROOT


def test_the_page_of_statuses_shows_the_tables_as_they_are() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/diagrams.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout
