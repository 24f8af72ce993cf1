"""The log files of a platform on one machine: they begin anew when they have grown large.

Whoever writes one holds it open, and several processes write to the same, so it is copied and then emptied; all append,
so they go on at its new end. Where that is interrupted nothing is lost, but some stands twice.
"""

import logging
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

LARGEST_BYTES: Final = 10 * 2**20
KEPT: Final = 3
"""So many older ones of each, ``.1`` the latest."""
LOOK_EVERY_SECONDS: Final = 10.0
COPY_BYTES: Final = 2**20


def begin_anew(log: Path) -> None:
    """Put the log of a former life aside."""
    if log.exists():
        _make_room(log)
        log.replace(_older(log, 1))


def shorten(log: Path, *, largest: int = LARGEST_BYTES) -> bool:
    """Begin a log anew that processes write to, if it is larger; return whether it was."""
    copy = log.with_name(f"{log.name}.new")
    try:
        if log.stat().st_size <= largest:
            return False
        with log.open("r+b") as source:
            with copy.open("wb") as target:
                shutil.copyfileobj(source, target, COPY_BYTES)
            _make_room(log)
            latest = copy.replace(_older(log, 1))
            with latest.open("ab") as target:
                # What was written meanwhile; only what is written in this last moment can be missed.
                shutil.copyfileobj(source, target, COPY_BYTES)
            source.truncate(0)
    except OSError as error:
        logger.warning("%s has grown large and cannot be begun anew: %s", log, error)
        copy.unlink(missing_ok=True)
        return False
    return True


class Watch:
    """Looks after some logs until it is closed."""

    def __init__(self, logs: Sequence[Path]) -> None:
        """Begin."""
        self._logs = logs
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="log files", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(LOOK_EVERY_SECONDS):
            for log in self._logs:
                if log.exists():
                    shorten(log)


def _make_room(log: Path) -> None:
    """Count the older ones up; the oldest goes."""
    for number in range(KEPT - 1, 0, -1):
        if (older := _older(log, number)).exists():
            older.replace(_older(log, number + 1))


def _older(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")
