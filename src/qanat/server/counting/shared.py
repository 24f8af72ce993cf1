"""Counters that all forks of a process share: each counts in a file of its own, and whoever is asked adds them up.

Several processes answer on the API's one port, and a scrape reaches any of them. Prometheus' library shares counters by
files in a folder that a variable names, which it reads when it is imported; so this module must not import it.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable of Prometheus' library."""
PREFIX: Final = "qanat-counters-"
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder with a name of its own is made there
"""The files are mapped: on a disk that is full, to write into one would end the process."""
YOUNG_SECONDS: Final = 60.0


@contextmanager
def sharing() -> Iterator[None]:
    """Have this process and its forks share their counters; enter before Prometheus' library is imported.

    The folder goes when the process that made it ends. Where that was killed, the next one to start here removes it.
    """
    parent = MEMORY if os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    _remove_abandoned(parent)
    made_by = os.getpid()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_SH)
    os.environ[FOLDER] = str(folder)
    try:
        yield
    finally:
        if os.getpid() == made_by:  # forks leave by here, too
            shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of processes that have all ended; each holds a lock on its own for as long as it lives."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime < YOUNG_SECONDS:
                continue  # Its maker may not have come to lock it yet.
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(descriptor)
