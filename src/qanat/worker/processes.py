"""Sessions: everything that a step started, found and ended.

The kernel's run script makes process groups of its own at times, so a step is the whole of its session rather than one
group. A session is known by its leader's pid and start time: pids come round again, the pair does not.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

POLL_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a session uses: resident memory now (bytes) and CPU time of its living processes so far (seconds)."""

    memory_bytes: int
    cpu_seconds: float


def started_at(pid: int) -> float | None:
    """Return when a process started, or None where it is gone."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def members(session: int) -> list[psutil.Process]:
    """Return the living processes of a session; zombies are not alive."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (OSError, psutil.Error):
            continue
    return found


def usage(session: int) -> Usage:
    """Return what a session uses."""
    memory = 0
    cpu = 0.0
    for process in members(session):
        try:
            with process.oneshot():
                memory += process.memory_info().rss
                times = process.cpu_times()
                cpu += times.user + times.system + times.children_user + times.children_system
        except psutil.Error:
            continue
    return Usage(memory_bytes=memory, cpu_seconds=cpu)


def end(session: int, *, grace_seconds: float, clock: Callable[[], float] = time.monotonic) -> bool:
    """End a session: TERM, then KILL after a grace; return whether it is empty."""
    _signal(session, signal.SIGTERM)
    if _empty_by(session, clock() + grace_seconds, clock):
        return True
    _signal(session, signal.SIGKILL)
    return _empty_by(session, clock() + grace_seconds, clock)


def _signal(session: int, number: signal.Signals) -> None:
    for process in members(session):
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def _empty_by(session: int, deadline: float, clock: Callable[[], float]) -> bool:
    """Wait for a session to be empty; whoever is still there is waited for rather than guessed at."""
    while alive := members(session):
        if clock() >= deadline:
            return False
        psutil.wait_procs(alive, timeout=POLL_SECONDS)
    return True
