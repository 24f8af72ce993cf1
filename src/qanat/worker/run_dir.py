"""The attempt's directory: one for each, never used again, and swept when its worker is gone."""

import contextlib
import json
import logging
import os
import shutil
import uuid
from pathlib import Path
from typing import Final

from qanat.worker import processes

logger = logging.getLogger(__name__)

DISK_IS_FULL: Final = "The worker's disk is full: make room in its work directory; the step is tried again."
EXIT_DISK_FULL: Final = 4
"""Of a runner that had no room for its result."""
GOING: Final = ".going-"
"""How the name begins of a directory that is being removed."""
OWNER: Final = "session.json"
PROGRESS: Final = "progress.json"
"""What the runner knows of the events of its losses: ``events_done``, ``events_total``."""
RESULT: Final = "result.json"
"""What the runner leaves: outputs, facts and, of a failed step, the reason."""


class RunDir:
    """An attempt's directory beneath the worker's work directory."""

    def __init__(self, path: Path) -> None:
        """Handle the directory at ``path``."""
        self.path = path
        self.inputs = path / "in"
        self.log = path / "log.txt"
        self.temporary = path / "tmp"

    @classmethod
    def create(cls, work_dir: Path, *, name: str) -> "RunDir":
        """Make a fresh directory, for the owner's eyes only."""
        path = work_dir / f"{name}-{uuid.uuid4().hex[:8]}"
        making = path.with_name(f".{path.name}")
        making.mkdir(parents=True, mode=0o700)
        owner = {"supervisor": os.getpid(), "supervisor_started": _started(os.getpid())}
        (making / OWNER).write_text(json.dumps(owner))
        making.rename(path)  # Whoever is killed before leaves nothing that looks like somebody's.
        run_dir = cls(path)
        run_dir.inputs.mkdir()
        run_dir.temporary.mkdir()
        return run_dir

    def belongs_to(self, session: int) -> None:
        """Note the session that works here, so that a later life of the worker can end it."""
        owner = json.loads((self.path / OWNER).read_text())
        owner |= {"session": session, "session_started": _started(session)}
        (self.path / OWNER).write_text(json.dumps(owner))

    def remove(self) -> None:
        """Remove the directory; what cannot be removed is left to the next sweep."""
        discard(self.path)


def discard(path: Path) -> None:
    """Remove a directory; another worker of this host may do so too.

    It is renamed first: whoever is killed meanwhile leaves nothing that looks whole and is not.
    """
    going = path.with_name(f"{GOING}{path.name}")
    with contextlib.suppress(OSError):
        path.rename(going)
    shutil.rmtree(going, ignore_errors=True)


def finish_discarding(folder: Path) -> None:
    """Remove what is left in a folder of directories whose removal was broken off."""
    for left in folder.glob(f"{GOING}*"):
        shutil.rmtree(left, ignore_errors=True)


def sweep(work_dir: Path, *, grace_seconds: float) -> int:
    """End what attempts of workers that are gone still run, and remove their folders; return how many there were."""
    swept = 0
    for owner_file in work_dir.glob(f"*/{OWNER}"):
        owner: dict[str, float] = {}
        with contextlib.suppress(OSError, ValueError):
            owner = json.loads(owner_file.read_text())
        if _is(owner, "supervisor"):
            continue
        sessions = {int(owner["session"])} if _is(owner, "session") else set()
        processes.end(sessions, directory=owner_file.parent, grace_seconds=grace_seconds)
        RunDir(owner_file.parent).remove()
        swept += 1
    finish_discarding(work_dir)
    if swept:
        logger.info("Removed %d attempts that a former life of a worker left in %s", swept, work_dir)
    return swept


def _started(pid: int) -> float | None:
    return processes.started_at(pid)


def _is(owner: dict[str, float], who: str) -> bool:
    pid = owner.get(who)
    return pid is not None and _started(int(pid)) == owner.get(f"{who}_started")
