"""Keeps one process alive: starts it, waits for its end, starts it again after a pause that doubles."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
STEADY_AFTER_SECONDS = 30.0
PR_SET_PDEATHSIG = 1


def next_pause(pause: float, *, lived: float) -> float:
    """Return how long to wait before the next start of a process that lived so many seconds."""
    return FIRST_PAUSE_SECONDS if lived > STEADY_AFTER_SECONDS else min(pause * 2, LONGEST_PAUSE_SECONDS)


@dataclass
class Keeper:
    """A process that is kept alive until it is stopped.

    It leads a session of its own, so that a Ctrl-C at the terminal reaches the supervisor alone, which then stops all
    in order. ``lifeline`` is passed to processes that watch it; others (``foreign``) are killed by the kernel when the
    supervisor dies.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    lifeline: int | None = None
    foreign: bool = False
    before: Callable[[], None] = lambda: None
    """Run before each start: clears what a former life left in the way."""
    starts: int = 0
    _process: "subprocess.Popen[bytes] | None" = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _changed: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._keep, name=self.name, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The living process, if it lives."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def stop(self, *, grace_seconds: float) -> None:
        """End the process: TERM, and KILL after a grace."""
        self._stopping.set()
        with self._changed:
            process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                logger.warning("%s did not stop within %.0f s and is killed", self.name, grace_seconds)
                process.kill()
                process.wait()
        if self._thread is not None:
            self._thread.join()

    def _keep(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            started = time.monotonic()
            self.before()
            with self._changed:
                if self._stopping.is_set():
                    return
                process = self._spawn()
                self._process = process
            exit_code = process.wait()
            if self._stopping.is_set():
                return
            pause = next_pause(pause, lived=time.monotonic() - started)
            logger.warning(
                "%s ended (%s) and is started again in %.1f s; see %s", self.name, exit_code, pause, self.log
            )
            self._stopping.wait(pause)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        self.starts += 1
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own commands
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.environment),
                pass_fds=() if self.lifeline is None else (self.lifeline,),
                start_new_session=True,
                preexec_fn=_die_with_parent if self.foreign else None,  # noqa: PLW1509 - one system call, no locks
            )


_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the thread that started it dies."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
