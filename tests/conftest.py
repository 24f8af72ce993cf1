"""What all tests share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def piwind_folder() -> Path:
    """Return where PiWind should be."""
    given = os.environ.get("QANAT_PIWIND")
    return Path(given) if given else ROOT.parent / "shared" / "data" / "piwind"


def find_piwind() -> Path | None:
    """Return where PiWind lies, or None where it does not."""
    folder = piwind_folder()
    return folder if (folder / "model" / "oasislmf.json").is_file() else None


@pytest.fixture(scope="session")
def piwind() -> Path:
    """Where the PiWind model lies; skipped where it does not."""
    folder = find_piwind()
    if folder is None:
        pytest.skip(f"PiWind is not at {piwind_folder()}: set QANAT_PIWIND to its folder")
    return folder
