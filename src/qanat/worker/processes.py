"""Processes of a step: finding all of them, stopping all of them, and what they use.

A step's runner leads a session of its own. Everything that the kernel and the model start stays in that session unless it
detaches itself on purpose; so the session, and not only the process group, is what is measured and stopped. A process that did
leave the session is still found while its parent lives, as a descendant.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

TERM_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.05
KILL_SECONDS: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class SessionId:
    """A session that cannot be mistaken for a later one with the same number: the leader's pid and its start."""

    pid: int
    started: str
    """When the leader started: clock ticks since boot and the boot's own id, so that no change of the clock matters."""

    def leader(self) -> psutil.Process | None:
        """Return the leader where it is still the same process."""
        try:
            process = psutil.Process(self.pid)
        except psutil.Error:
            return None
        return process if _start_of(self.pid) == self.started else None


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a session uses at one moment."""

    memory_bytes: int
    """Proportional where the operating system tells, else resident, summed over the processes."""
    cpu_seconds: float
    """Of the processes that are alive and of their children that have ended and been waited for."""


def session_of(pid: int) -> SessionId:
    """Return the identity of the session that ``pid`` leads.

    Raises:
        psutil.NoSuchProcess: it has ended already.
    """
    return SessionId(pid=pid, started=_start_of(psutil.Process(pid).pid))


def members(session: SessionId) -> list[psutil.Process]:
    """Return the living processes of the session and all descendants of its leader."""
    found: dict[int, psutil.Process] = {}
    leader = session.leader()
    if leader is not None:
        found[leader.pid] = leader
        with contextlib.suppress(psutil.Error):
            found |= {child.pid: child for child in leader.children(recursive=True)}
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
            if pid not in found and os.getsid(pid) == session.pid:
                process = psutil.Process(pid)
                # The number of a dead leader can be given to a new session: its members are all younger than its leader,
                # so a stranger is recognised by a leader of that number who is not ours.
                if leader is not None or not psutil.pid_exists(session.pid):
                    found[pid] = process
    return [process for process in found.values() if _alive(process)]


def stop(
    session: SessionId, *, term_seconds: float = TERM_SECONDS, clock: Callable[[], float] = time.monotonic
) -> bool:
    """Stop every process of the session: TERM, then KILL after ``term_seconds``; return whether none is left."""
    known = {process.pid: process for process in members(session)}
    _signal(known.values(), signal.SIGTERM)
    deadline = clock() + term_seconds
    while clock() < deadline:
        known |= {process.pid: process for process in members(session)}
        if not any(_alive(process) for process in known.values()):
            return True
        time.sleep(POLL_SECONDS)
    deadline = clock() + KILL_SECONDS
    while clock() < deadline:
        known |= {process.pid: process for process in members(session)}
        living = [process for process in known.values() if _alive(process)]
        if not living:
            return True
        _signal(living, signal.SIGKILL)
        time.sleep(POLL_SECONDS)
    return False


def kill_own_session() -> None:
    """Kill all processes of the calling process' session, itself last."""
    session = session_of(os.getsid(0))
    own = os.getpid()
    # Twice, as a process may be starting another one at this moment.
    for _ in range(2):
        _signal((process for process in members(session) if process.pid != own), signal.SIGKILL)
    os.kill(own, signal.SIGKILL)


def usage(session: SessionId) -> Usage:
    """Return what the session uses now; zero where it has ended."""
    memory = 0
    cpu = 0.0
    for process in members(session):
        with contextlib.suppress(psutil.Error):
            memory += _memory(process)
            times = process.cpu_times()
            cpu += times.user + times.system + times.children_user + times.children_system
    return Usage(memory_bytes=memory, cpu_seconds=cpu)


def _start_of(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        # No /proc on this system, or no such process.
        with contextlib.suppress(psutil.Error):
            return f"{psutil.Process(pid).create_time():.2f}"
        return ""
    # proc(5): the name in parentheses may contain anything; the start time is field 22 of the line.
    return f"{stat.rpartition(')')[2].split()[19]}@{boot}"


def _memory(process: psutil.Process) -> int:
    try:
        with Path(f"/proc/{process.pid}/smaps_rollup").open(encoding="ascii") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return int(process.memory_info().rss)


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)
