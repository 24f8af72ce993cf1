"""What all tests share."""

import gc
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import object_stores

LIMIT_SECONDS = 30.0
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


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Wait until what another process does has come about, and fail where it does not in good time."""

    def wait(holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + LIMIT_SECONDS
        while not holds():
            assert time.monotonic() < deadline, "it did not happen in good time"
            time.sleep(0.02)

    return wait


@pytest.fixture(autouse=True)
def _levels_as_before() -> Iterator[None]:
    """Blame the test that leaves a logger of ours at another level: a later one would wait for what is not said."""
    yield
    changed = [
        name
        for name, logger in logging.root.manager.loggerDict.items()
        if name.startswith("qanat.") and isinstance(logger, logging.Logger) and (logger.level or logger.disabled)
    ]
    for name in changed:
        logging.getLogger(name).setLevel(logging.NOTSET)
        logging.getLogger(name).disabled = False
    assert not changed, "these loggers were left at another level, or disabled"


@pytest.fixture(scope="module")
def leaks_of_others() -> Iterator[None]:
    """Drop what a library left open while the module's own filters hold, lest a later test is blamed for it."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[object_stores.ObjectStore]:
    """SeaweedFS, for all tests of this process; skipped where it is not."""
    with object_stores.running("s3") as store:
        yield store


@pytest.fixture(scope="session")
def azure_server() -> Iterator[object_stores.ObjectStore]:
    """Azurite, likewise."""
    with object_stores.running("azure") as store:
        yield store
