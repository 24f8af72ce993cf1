"""Steps that can never go on, seen by what their processes wait for.

The kernel's run script ties dozens of processes together by named pipes, and whoever opens one waits until somebody
opens its other end. Where that somebody was killed before, the rest wait for ever: of many processes the script does
not ask how they ended, and its handler of errors kills itself before those that were started earlier.

While the script runs, nothing of a step can go on when each of its processes waits for pipes or for its children, one
of them at least to open a named pipe in the attempt's directory, and nobody else has a hand in it: no child in another
session, nobody who works in that directory or holds one of these pipes. Whoever computes, sleeps, or waits for network,
disk or time is not such a process. Processes cannot be looked at all at once; but when a second look sees the same
threads as the first, and none has had the processor in between, all of them waited at the same time.
"""

import os
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import psutil

from qanat.worker import processes, shims, tool_server, waits

STUCK_SECONDS: Final = 20.0
"""After so long without a change a step is called stuck."""
SHELL: Final = "bash"
"""What runs the run script."""
PIPES: Final = frozenset({"open", "read", "write"})


@dataclass(frozen=True)
class Role:
    """In which calls a process waits for others of its step."""

    calls: frozenset[str]
    all_threads: bool = False
    """Whether each of its threads has to; else the first does all that matters."""


RUNNER: Final = Role(frozenset({"read", "wait"}))
"""Waits for the run script's output or end; its other threads have nothing to do with that."""
SERVER: Final = Role(frozenset({"epoll"}))
"""Waits for shims to call, and for its tools to end."""
TOOL: Final = Role(PIPES | {"select", "epoll"})
"""A kernel tool behind a shim, which looks at nothing but the streams of its pipeline."""
SHIM: Final = Role(frozenset({"receive"}))
"""Waits for its tool to end."""
OTHER: Final = Role(PIPES | {"wait", "lock"}, all_threads=True)
"""The run script, and whatever it or the model has started."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """The living processes of a step's sessions."""

    sessions: Collection[int]
    parents: dict[int, int]
    """By process."""
    names: dict[int, str]
    """As process listings show them."""

    @classmethod
    def of(cls, sessions: Collection[int]) -> Self:
        """Return those that live now.

        Raises:
            OSError: one has just ended.
            psutil.Error: likewise.
        """
        parents = {process.pid: process.ppid() for process in processes.members(sessions)}
        names = {pid: Path(f"/proc/{pid}/comm").read_text().strip() for pid in parents}
        return cls(sessions=sessions, parents=parents, names=names)

    def runs_script(self, directory: Path) -> bool:
        """Say whether the kernel's run script runs, which it writes into a directory."""
        commands = [psutil.Process(pid).cmdline() for pid, name in self.names.items() if name == SHELL]
        return any(Path(command[-1]).resolve().is_relative_to(directory) for command in commands if command)

    def at_work(self) -> list[int]:
        """Return all but those that only look, now and then, whether the others complain."""
        return [pid for pid in self.parents if not self._watches(pid)]

    def role(self, pid: int) -> Role:
        """Return what one of them is."""
        if self.names[pid] == tool_server.SERVE_TOOLS:
            return SERVER
        if self.names.get(self.parents[pid]) == tool_server.SERVE_TOOLS:
            return TOOL
        if pid in self.sessions:
            return RUNNER
        return SHIM if shims.is_one(psutil.Process(pid)) else OTHER

    def _watches(self, pid: int) -> bool:
        while pid in self.parents:
            if self.names[pid] == processes.shown(tool_server.WATCHDOG):
                return True
            pid = self.parents[pid]
        return False


@dataclass(frozen=True, kw_only=True)
class Standstill:
    """A step of which nothing goes on by itself."""

    turns: frozenset[tuple[int, int]]
    """The threads that have to wait, and how often each has had the processor so far."""
    pids: frozenset[int]
    pipes: frozenset[waits.Pipe]
    """What they wait for."""
    waiting: tuple[str, ...]
    """A line for each that wants to open one of them."""


class Deadlock:
    """Looks at the processes of an attempt again and again."""

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Know the attempt's directory."""
        self._directory = directory.resolve()
        self._clock = clock
        self._seen: Standstill | None = None
        self._since = 0.0

    def found(self, sessions: Collection[int]) -> tuple[str, ...]:
        """Look at what a step's sessions do; return a line for each process that waits for a pipe in vain.

        There is none as long as the step goes on or may, and where that cannot be seen.
        """
        if sys.platform != "linux":
            return ()
        now = self._clock()
        seen = _standstill(sessions, self._directory)
        if seen is None or seen != self._seen:
            self._seen, self._since = seen, now
            return ()
        if now - self._since < STUCK_SECONDS or _anybody_else(seen, sessions, self._directory):
            return ()
        return seen.waiting


def _standstill(sessions: Collection[int], directory: Path) -> Standstill | None:
    """Return who of a step waits for what; None where somebody does not wait for others, or cannot be seen."""
    turns: set[tuple[int, int]] = set()
    pipes: set[waits.Pipe] = set()
    waiting: list[str] = []
    try:
        family = Family.of(sessions)
        if not family.runs_script(directory):
            return None
        pids = family.at_work()
        for pid in pids:
            role = family.role(pid)
            for thread in waits.threads(pid) if role.all_threads else [pid]:
                turns.add((thread, waits.turns(pid, thread)))
                wait = waits.wait_of(pid, thread)
                if wait is None or wait.call not in role.calls:
                    return None
                if wait.opens is not None:
                    if not wait.opens.is_relative_to(directory):
                        return None
                    waiting.append(f"{family.names[pid]} ({pid}) waits for another process to open {wait.opens}.")
                pipes |= wait.pipes
            if role is TOOL:
                pipes |= waits.pipes_of(pid) - waits.pipes_of(family.parents[pid])
    except (OSError, psutil.Error):
        return None
    if not waiting:
        return None
    return Standstill(turns=frozenset(turns), pids=frozenset(pids), pipes=frozenset(pipes), waiting=tuple(waiting))


def _anybody_else(seen: Standstill, sessions: Collection[int], directory: Path) -> bool:
    """Say whether a process outside a step's sessions may bring it on."""
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) in sessions or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.ppid() in seen.pids or not seen.pipes.isdisjoint(waits.pipes_of(process.pid)):
                return True
            if processes.works_in(process, directory):
                return True
        except (OSError, psutil.Error):
            continue
    return False
