"""What all tests share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def piwind() -> Path:
    """Where the PiWind model lies; skipped where it does not."""
    given = os.environ.get("QANAT_PIWIND")
    folder = Path(given) if given else ROOT.parent / "shared" / "data" / "piwind"
    if not (folder / "model" / "oasislmf.json").is_file():
        pytest.skip(f"PiWind is not at {folder}: set QANAT_PIWIND to its folder")
    return folder
