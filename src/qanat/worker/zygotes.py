"""The warm processes of a worker, and how long they live.

A zygote is started before anybody waits for it, and is of use when it is warm. It runs no model code, so it should not
wear out; after many forks, or when it has grown, another takes its place all the same. One that dies takes with it the
steps that it forked, and comes back.
"""

import functools
import logging
import os
import select
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import psutil

from qanat.worker import tool_server
from qanat.worker.orders import Ended, Forked, Order, ServerGone, hand_to_child

logger = logging.getLogger(__name__)

COMMAND: Final = (sys.executable, "-P", "-m", "qanat.worker.zygote")
RUN_STEP: Final = "run-step"
UMASK: Final = 0o077
"""What a model makes is for the worker's eyes only."""
LOST: Final = Ended(exit_code=-9, cpu_seconds=0.0, peak_memory_bytes=0)
"""What becomes of a runner whose zygote is killed: it is killed too, and its step is given to another."""
PID: Final = struct.Struct("!i")
"""Word that it is warm: which process forks the runners."""
MOST_FORKS: Final = 1000
MOST_GROWTH_BYTES: Final = 256 * 2**20


class FromZygote:
    """A runner that was forked, with the server of its tools where it needs one."""

    def __init__(self, runner: Forked, tools: Forked | None, *, ended: Callable[[], None]) -> None:
        """Wrap the forks; ``ended`` is told when they are let go."""
        self._runner = runner
        self._tools = tools
        self._ended = ended
        self.pid = runner.pid
        self.sessions = [fork.pid for fork in (runner, tools) if fork is not None]

    def wait(self) -> Ended:
        """Wait for its end; the CPU time is its own and that of its tools."""
        try:
            if self._tools is None:
                return self._runner.wait()
            first, _, _ = select.select([self._runner, self._tools], [], [])
            if self._runner not in first:
                logger.warning("The server of the step's tools is gone, and with it the step")
                return LOST
            ended = self._runner.wait()
            tools = self._tools.stop()
        except ServerGone:
            logger.warning("The zygote is gone, and with it the step that it ran")
            return LOST
        return Ended(
            exit_code=ended.exit_code,
            cpu_seconds=ended.cpu_seconds + tools.cpu_seconds,
            peak_memory_bytes=max(ended.peak_memory_bytes, tools.peak_memory_bytes),
        )

    def close(self) -> None:
        """Close the connections that the forks watch."""
        for fork in (self._runner, self._tools):
            if fork is not None:
                fork.close()
        self._ended()


class Zygote:
    """The warm processes."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Start them; they are of use at once, and quick when they have imported all."""
        self.forks = 0
        """Made so far."""
        self.living = 0
        """Of these, how many have not been given back."""
        self._warm: list[psutil.Process] = []
        self._size = 0
        self._for_steps, steps = socket.socketpair()
        self._for_tools, tools = socket.socketpair()
        with steps, tools:
            self._process = subprocess.Popen(  # noqa: S603 - our own zygote
                [*COMMAND, str(steps.fileno()), str(tools.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment,
                pass_fds=(steps.fileno(), tools.fileno()),
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        """Whether they live."""
        return self._process.poll() is None

    @property
    def ready(self) -> bool:
        """Whether they are warm, of which they send word."""
        if not self._warm and select.select([self._for_steps], [], [], 0)[0]:
            word = self._for_steps.recv(PID.size)
            if len(word) == PID.size:
                self._warm = [psutil.Process(pid) for pid in (self._process.pid, *PID.unpack(word))]
                self._size = self._memory()
        return bool(self._warm)

    @property
    def worn(self) -> bool:
        """Whether another should take its place."""
        grown = self._memory() - self._size if self._warm else 0
        return self.forks >= MOST_FORKS or grown > MOST_GROWTH_BYTES

    def _memory(self) -> int:
        try:
            return sum(process.memory_info().rss for process in self._warm)
        except psutil.NoSuchProcess:
            return 0

    def fork(
        self, task: str, spec: Path, *, log: Path, environment: Mapping[str, str], ended: Callable[[], None]
    ) -> FromZygote:
        """Fork the runner of a step in its directory, and the server of its tools if the task needs one.

        Raises:
            OSError: its log cannot be written.
            ServerGone: the zygote has died.
        """
        directory = spec.parent
        order = functools.partial(Order, cwd=str(directory), environment=environment, umask=UMASK)
        tools = None
        with log.open("ab") as stream, Path(os.devnull).open("rb") as nothing:
            said = stream.fileno()
            if task in tool_server.NEEDS_TOOLS:
                with (
                    tool_server.listen(directory, tool_server.LIGHT_SOCKET) as listener,
                    tool_server.listen(directory, tool_server.SERIES_SOCKET) as series,
                ):
                    streams = [listener.fileno(), series.fileno(), said]
                    tools = hand_to_child(self._for_tools, order(argv=[tool_server.SERVE_TOOLS]), streams)
            try:
                streams = [nothing.fileno(), said, said]
                runner = hand_to_child(self._for_steps, order(argv=[RUN_STEP, str(spec)]), streams)
            except ServerGone:
                if tools is not None:
                    tools.close()
                raise
        return FromZygote(runner, tools, ended=ended)

    def close(self) -> None:
        """End them, and what they have forked."""
        self._for_steps.close()
        self._for_tools.close()
        self._process.wait()


class Zygotes:
    """The zygote in use, its successor while that gets warm, and those that wait for their last fork to end."""

    def __init__(self, environment: Mapping[str, str], *, warm_seconds: float | None) -> None:
        """Keep a zygote for so long after its last fork; None is for ever.

        To import the kernel takes seconds of a core, to keep it imported some 400 MB of memory.
        """
        self._environment = environment
        self._warm_seconds = warm_seconds
        self._lock = threading.Lock()
        self._current: Zygote | None = None
        self._successor: Zygote | None = None
        self._leaving: list[Zygote] = []
        self._expiry: threading.Timer | None = None
        self._closed = False

    def start(self) -> None:
        """Start one, if there is none; nobody waits for it."""
        with self._lock:
            self._settle()
            if self._current is None and not self._closed:
                self._current = Zygote(self._environment)
                self._expire_later()  # It may turn out that nothing is to be forked.

    def take(self, *, wait: bool) -> Zygote | None:
        """Return the zygote for one fork, to be given back; None where there is none, or none is warm yet.

        Args:
            wait: whether a cold one will do: its fork starts when it is warm.
        """
        with self._lock:
            self._settle()
            if self._current is None or not (wait or self._current.ready):
                return None
            self._current.forks += 1
            self._current.living += 1
            if self._expiry is not None:
                self._expiry.cancel()
            return self._current

    def give_back(self, zygote: Zygote) -> None:
        """Note that a fork has ended."""
        with self._lock:
            zygote.living -= 1
            self._settle()
            if self._current is not None and self._current.living == 0:
                self._expire_later()

    def close(self) -> None:
        """End all, and whatever they have forked."""
        with self._lock:
            self._closed = True
            self._end()

    def _settle(self) -> None:
        """See who has died, who is worn, who is warm enough to take over, and who is no longer needed."""
        for zygote in [zygote for zygote in self._leaving if zygote.living == 0 or not zygote.alive]:
            zygote.close()
            self._leaving.remove(zygote)
        if self._successor is not None and not self._successor.alive:
            self._successor.close()
            self._successor = None
        current = self._current
        if current is None:
            return
        if not current.alive:
            logger.warning("The zygote has died; another is started when it is needed")
            current.close()
            self._current, self._successor = self._successor, None
        elif self._successor is None and current.worn:
            self._successor = Zygote(self._environment)
        elif self._successor is not None and self._successor.ready:
            logger.info("After %d forks another zygote takes over", current.forks)
            self._leaving.append(current)
            self._current, self._successor = self._successor, None
            self._settle()

    def _expire_later(self) -> None:
        if self._warm_seconds is None or self._closed:
            return
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = threading.Timer(self._warm_seconds, self._expire)
        self._expiry.daemon = True
        self._expiry.start()

    def _expire(self) -> None:
        with self._lock:
            if self._current is not None and self._current.living == 0:
                self._end()

    def _end(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        for zygote in filter(None, (self._current, self._successor, *self._leaving)):
            zygote.close()
        self._current = self._successor = None
        self._leaving.clear()
