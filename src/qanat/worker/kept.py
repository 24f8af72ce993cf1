"""Directories of attempts that are kept for whoever looks for a mistake: for so long, and no more than so much.

They lie apart from those of attempts under way, in ``kept`` of the work directory, which the workers of a host may
share.
"""

import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from qanat.worker.run_dir import RunDir, discard, finish_discarding

logger = logging.getLogger(__name__)

FOLDER: Final = "kept"
NOTE: Final = "kept.json"
MOST: Final = 100
"""So many are kept, however small: each look goes through all of them."""
SHARE_OF_DISK: Final = 10
"""They take a tenth of the disk at most."""
SECONDS_OF_A_DAY: Final = 24 * 3600.0
LOOK_EVERY_SECONDS: Final = 3600.0


@dataclass(frozen=True, kw_only=True)
class One:
    """A directory that is kept."""

    path: Path
    since: float
    """Seconds since the epoch."""
    size: int
    """Bytes."""


class Kept:
    """The directories that are kept of a work directory."""

    def __init__(self, work_dir: Path, *, days: float, most_bytes: int) -> None:
        """Keep each for so many days, and of all together so many bytes; either may be none."""
        self._folder = work_dir / FOLDER
        self._seconds = days * SECONDS_OF_A_DAY
        self._most_bytes = most_bytes

    def take(self, run_dir: RunDir, *, now: float) -> Path | None:
        """Keep the directory of an attempt that has ended; return where it lies, or None where it has gone."""
        if not self._seconds or not self._most_bytes:
            run_dir.remove()
            return None
        target = self._folder / run_dir.path.name
        try:
            shutil.rmtree(run_dir.temporary, ignore_errors=True)
            note = {"since": now, "bytes": _size(run_dir.path)}
            (run_dir.path / NOTE).write_text(json.dumps(note))
            self._folder.mkdir(mode=0o700, exist_ok=True)
            run_dir.path.rename(target)
        except OSError as error:
            logger.warning("The directory of the step cannot be kept: %s", error)
            run_dir.remove()
            return None
        self.tidy(now=now)
        return target if target.is_dir() else None

    def tidy(self, *, now: float) -> None:
        """Remove what is too old, then the oldest of what is too much."""
        finish_discarding(self._folder)
        room = self._room()
        for number, one in enumerate(sorted(self._all(), key=lambda one: one.since, reverse=True)):
            room -= one.size
            if room < 0 or number >= MOST or now - one.since > self._seconds:
                discard(one.path)

    def look_after(self, ended: threading.Event) -> None:
        """Tidy now and then, until the end."""
        while True:
            self.tidy(now=time.time())
            if ended.wait(LOOK_EVERY_SECONDS):
                return

    def _all(self) -> Iterator[One]:
        for path in self._folder.glob("[!.]*"):
            note: dict[str, Any] = {"since": 0.0, "bytes": 0}
            with suppress(OSError, ValueError):
                note = json.loads((path / NOTE).read_text())
            yield One(path=path, since=note["since"], size=note["bytes"])

    def _room(self) -> int:
        if not self._folder.is_dir():
            return 0
        return min(self._most_bytes, shutil.disk_usage(self._folder).total // SHARE_OF_DISK)


def _size(folder: Path) -> int:
    """Return how many bytes of the disk a folder takes, with all that is in it."""
    found = 0
    for place, _, files in os.walk(folder):
        for file in files:
            with suppress(OSError):
                found += (Path(place) / file).lstat().st_blocks * 512
    return found
