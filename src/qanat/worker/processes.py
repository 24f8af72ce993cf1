"""Sessions: everything that a step started, found and ended.

The kernel's run script makes process groups of its own at times, so a step is the whole of its session rather than one
group, and whatever has left the session but still works in the attempt's directory. A session is known by its leader's
pid and start time: pids come round again, the pair does not.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import psutil

POLL_SECONDS = 0.05
NAME_CHARACTERS = 15


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What sessions use: their share of memory now (bytes) and CPU time of its living processes so far (seconds)."""

    memory_bytes: int
    cpu_seconds: float


def shown(name: str) -> str:
    """Return as much of a name as process listings have room for."""
    return name[:NAME_CHARACTERS]


def name_of_this_process() -> str:
    """Return what process listings call this process; nothing where the system does not say."""
    try:
        return Path("/proc/self/comm").read_text().rstrip("\n")
    except OSError:
        return ""


def call_this_process(name: str) -> None:
    """Let process listings show this process by a name, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(name)


def started_at(pid: int) -> float | None:
    """Return when a process started, or None where it is gone; one that nobody has buried yet is gone."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def members(sessions: Collection[int], *, directory: Path | None = None) -> list[psutil.Process]:
    """Return the living processes of some sessions, and those that work in a directory; zombies are not alive."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = os.getsid(process.pid) in sessions or (directory is not None and works_in(process, directory))
            if ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (OSError, psutil.Error):
            continue
    return found


def kill(sessions: Collection[int]) -> None:
    """Kill every process of some sessions, those that lead them first: they hear of no other's end."""
    for process in sorted(members(sessions), key=lambda process: process.pid not in sessions):
        with contextlib.suppress(psutil.Error):
            process.kill()


def kill_own_session() -> None:
    """Kill every process of the session that this one leads, and then this one."""
    kill({os.getsid(0)})
    os.killpg(0, signal.SIGKILL)


def usage(sessions: Collection[int]) -> Usage:
    """Return what some sessions use."""
    memory = 0
    cpu = 0.0
    for process in members(sessions):
        try:
            with process.oneshot():
                memory += _memory(process)
                times = process.cpu_times()
                cpu += times.user + times.system + times.children_user + times.children_system
        except psutil.Error:
            continue
    return Usage(memory_bytes=memory, cpu_seconds=cpu)


def _memory(process: psutil.Process) -> int:
    """Return a process' share of memory in bytes: what forks have in common counts once among them."""
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # no Linux, or it has just ended
        return int(process.memory_info().rss)
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def end(
    sessions: Collection[int],
    *,
    grace_seconds: float,
    directory: Path | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """End sessions, and what works in a directory: TERM, then KILL after a grace; return whether nothing is left."""

    def alive() -> list[psutil.Process]:
        return members(sessions, directory=directory)

    for number in (signal.SIGTERM, signal.SIGKILL):
        if not (left := alive()):
            return True
        _signal(left, number)
        if _gone_by(clock() + grace_seconds, alive, clock):
            return True
    return False


def works_in(process: psutil.Process, directory: Path) -> bool:
    """Say whether a process of our own user has its working directory, or its temporary files, in a directory."""
    places = (process.cwd(), process.environ().get("TMPDIR"))
    if not any(place and Path(place).is_relative_to(directory) for place in places):
        return False
    return process.uids().real == os.getuid()


def _signal(alive: list[psutil.Process], number: signal.Signals) -> None:
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def _gone_by(deadline: float, living: Callable[[], list[psutil.Process]], clock: Callable[[], float]) -> bool:
    """Wait until nothing is left; whoever is still there is waited for rather than guessed at."""
    while living():
        if clock() >= deadline:
            return False
        # psutil would reap our own children here, and their exit codes with them.
        time.sleep(POLL_SECONDS)
    return True
