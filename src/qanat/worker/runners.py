"""Runners: a process for each step, forked from a warm one while runs are under way.

To import the kernel takes several seconds of one core. The first step of a run needs no kernel; while it is done, a
zygote imports all that the others need, and their runners are forks of it: sessions, environments and directories of
their own, only without the wait. One that nobody needs for a while is ended, so that an idle worker stays small. Where
a process cannot be forked safely, or the zygote has died, a runner is started afresh: the same step, only later.
"""

import functools
import logging
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final, Protocol

from qanat.contract import tasks
from qanat.worker import tool_server
from qanat.worker.fork_server import RSS_UNIT, Ended, Forked, Order, ServerGone, hand_to_child

logger = logging.getLogger(__name__)

NEEDS_KERNEL: Final = frozenset(
    {
        tasks.GENERATE_INPUT,
        tasks.PREPARE_KEYS_FILE_CHUNK,
        tasks.WRITE_INPUT_FILES,
        tasks.RUN_ANALYSIS,
        tasks.PREPARE_LOSSES_GENERATION_DIRECTORY,
        tasks.GENERATE_LOSSES_CHUNK,
        tasks.GENERATE_LOSSES_OUTPUT,
    }
)
BEFORE_KERNEL: Final = frozenset({tasks.PREPARE_INPUT_GENERATION_PARAMS, tasks.PREPARE_LOSSES_GENERATION_PARAMS})
"""Tasks after which the same run needs the kernel."""
COMMAND: Final = (sys.executable, "-P", "-m", "qanat.worker.runner")
ZYGOTE: Final = (sys.executable, "-P", "-m", "qanat.worker.zygote")
RUN_STEP: Final = "run-step"
SERVE_TOOLS: Final = "serve-tools"
CAN_FORK: Final = sys.platform == "linux"
WARM_FOR_SECONDS: Final = 60.0
UMASK: Final = 0o077
"""What a model makes is for the worker's eyes only."""
LOST: Final = Ended(exit_code=-9, cpu_seconds=0.0, peak_memory_bytes=0)
"""What becomes of a runner whose zygote is killed: it is killed too, and its step is given to another."""


class Runner(Protocol):
    """A process that runs a step, in a session of its own; ``close`` ends it."""

    @property
    def pid(self) -> int:
        """The process, which is also its session."""

    @property
    def sessions(self) -> Collection[int]:
        """All sessions that work for the step."""

    def wait(self) -> Ended:
        """Wait for its end."""

    def close(self) -> None:
        """Let go: a runner that still lives ends itself."""


class Spawned:
    """A runner that was started afresh."""

    def __init__(self, command: tuple[str, ...], spec: Path, *, log: Path, environment: Mapping[str, str]) -> None:
        """Start the runner of a step in its directory."""
        alive, self._held = os.pipe()
        try:
            with log.open("ab") as stream:
                self._process = subprocess.Popen(  # noqa: S603 - our own runner
                    [*command, str(spec), str(alive)],
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    cwd=spec.parent,
                    env=environment,
                    pass_fds=(alive,),
                    start_new_session=True,
                )
        except OSError:
            os.close(self._held)
            raise
        finally:
            os.close(alive)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def sessions(self) -> Collection[int]:
        """Its own."""
        return (self.pid,)

    def wait(self) -> Ended:
        """Wait for its end; the CPU time is its own and that of all it has waited for."""
        _, status, used = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return Ended(
            exit_code=self._process.returncode,
            cpu_seconds=used.ru_utime + used.ru_stime,
            peak_memory_bytes=used.ru_maxrss * RSS_UNIT,
        )

    def close(self) -> None:
        """Close the pipe that the runner watches."""
        os.close(self._held)


class FromZygote:
    """A runner that was forked, with the server of its tools where it needs one."""

    def __init__(self, runner: Forked, tools: Forked | None, ended: Callable[[], None]) -> None:
        """Wrap the forks; ``ended`` is told when they are let go."""
        self._runner = runner
        self._tools = tools
        self._ended = ended
        self.pid = runner.pid
        self.sessions = [fork.pid for fork in (runner, tools) if fork is not None]

    def wait(self) -> Ended:
        """Wait for its end; the CPU time is its own and that of its tools."""
        try:
            ended = self._runner.wait()
            if self._tools is None:
                return ended
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
        self._ready = False
        self._for_steps, steps = socket.socketpair()
        self._for_tools, tools = socket.socketpair()
        with steps, tools:
            self._process = subprocess.Popen(  # noqa: S603 - our own zygote
                [*ZYGOTE, str(steps.fileno()), str(tools.fileno())],
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
        if not self._ready and select.select([self._for_steps], [], [], 0)[0]:
            self._ready = bool(self._for_steps.recv(1))
        return self._ready

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
                with tool_server.listen(directory, tool_server.LIGHT_SOCKET) as listener:
                    streams = [listener.fileno(), said, said]
                    tools = hand_to_child(self._for_tools, order(argv=[SERVE_TOOLS]), streams)
            try:
                streams = [nothing.fileno(), said, said]
                runner = hand_to_child(self._for_steps, order(argv=[RUN_STEP, str(spec)]), streams)
            except ServerGone:
                if tools is not None:
                    tools.close()
                raise
        return FromZygote(runner, tools, ended)

    def close(self) -> None:
        """End them, and what they have forked."""
        self._for_steps.close()
        self._for_tools.close()
        self._process.wait()


class Runners:
    """Starts runners, and keeps a zygote while runs are under way."""

    def __init__(
        self, *, environment: Mapping[str, str], command: tuple[str, ...] = COMMAND, fork: bool = CAN_FORK
    ) -> None:
        """Start runners in ``environment``: forks where that is possible and pays, else with ``command``."""
        self._environment = environment
        self._command = command
        self._fork = fork
        self._lock = threading.Lock()
        self._zygote: Zygote | None = None
        self._forks = 0
        self._expiry: threading.Timer | None = None

    def start(self, task: str, spec: Path, *, log: Path, temporary: Path) -> Runner:
        """Start the runner of a step.

        Args:
            task: the step's Celery task.
            spec: its description, in its directory.
            log: where its output goes.
            temporary: its folder for temporary files.

        Raises:
            OSError: the log cannot be written, or no process can be started.
        """
        environment = {**self._environment, "TMPDIR": str(temporary)}
        zygote = self._take(task)
        if zygote is None:
            return Spawned(self._command, spec, log=log, environment=environment)
        try:
            return zygote.fork(task, spec, log=log, environment=environment, ended=self._give_back)
        except ServerGone:
            logger.warning("The zygote is gone; the step starts afresh")
            self._give_back()
            return Spawned(self._command, spec, log=log, environment=environment)
        except OSError:
            self._give_back()
            raise

    def close(self) -> None:
        """End the zygote, and whatever it has forked."""
        with self._lock:
            self._end()

    def _take(self, task: str) -> Zygote | None:
        """Return the zygote if the task's runner is to be a fork; it is started where a run has begun."""
        if not self._fork:
            return None
        with self._lock:
            if self._zygote is not None and not self._zygote.alive:
                self._end()
            if self._zygote is None and task in NEEDS_KERNEL | BEFORE_KERNEL:
                self._zygote = Zygote(self._environment)
                self._expire_later()  # The run may be cancelled before anything is forked.
            if self._zygote is None or not (task in NEEDS_KERNEL or self._zygote.ready):
                return None
            self._forks += 1
            if self._expiry is not None:
                self._expiry.cancel()
            return self._zygote

    def _give_back(self) -> None:
        """Note that a fork has ended; after the last one the zygote is kept for a while."""
        with self._lock:
            self._forks -= 1
            if self._forks == 0:
                self._expire_later()

    def _expire_later(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = threading.Timer(WARM_FOR_SECONDS, self._expire)
        self._expiry.daemon = True
        self._expiry.start()

    def _expire(self) -> None:
        with self._lock:
            if self._forks == 0:
                self._end()

    def _end(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        if self._zygote is not None:
            self._zygote.close()
        self._zygote = self._expiry = None
