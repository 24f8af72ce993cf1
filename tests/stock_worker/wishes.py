"""What a test wants of the stand-in, beyond the contract."""

import os
import signal
import time
from pathlib import Path

FOLDER = Path(os.environ.get("STAND_IN_WISHES", "/nonexistent"))


def once(wish: str) -> bool:
    """Say whether this is wished for, and forget the wish."""
    try:
        (FOLDER / wish).unlink()
    except FileNotFoundError:
        return False
    return True


def said(wish: str) -> str:
    """Return what a wish says, empty where there is none."""
    path = FOLDER / wish
    return path.read_text() if path.exists() else ""


def before_work(task: str) -> None:
    """Die, wait or fail, where that is wished for."""
    if once(f"die-{task}"):
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    if once(f"wait-{task}"):
        (FOLDER / f"waiting-{task}").touch()
        while not once("go-on"):
            time.sleep(0.05)
    if said(f"fail-{task}"):
        message = said(f"fail-{task}")
        raise RuntimeError(message)
