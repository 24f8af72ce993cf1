"""Runners: a process for each step, forked from a warm one where there is one.

To import the kernel takes several seconds of one core. A zygote (``zygotes``) has all imported that the steps need, and
their runners are forks of it: sessions, environments and directories of their own, only without the wait. It is started
with the worker or by the first step of a run, which needs no kernel. Where a process cannot be forked safely, or the
zygote has died, a runner is started afresh: the same step, only later.
"""

import functools
import logging
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, Protocol

from qanat.contract import tasks
from qanat.worker import compiled
from qanat.worker.orders import RSS_UNIT, Ended, ServerGone
from qanat.worker.zygotes import Zygotes

logger = logging.getLogger(__name__)

NEEDS_KERNEL: Final = frozenset(
    {
        tasks.GENERATE_INPUT,
        tasks.PRE_ANALYSIS_HOOK,
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
ALLOWED_ENVIRONMENT: Final = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "MKL_NUM_THREADS",
    "NUMBA_CACHE_DIR",
    "NUMBA_CPU_FEATURES",
    "NUMBA_CPU_NAME",
    "NUMBA_NUM_THREADS",
    "OASIS_OED_SCHEMA_INFO",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTHONPATH",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
)
"""What a runner inherits: no address, key or password of broker, database or storage is among it."""
CAN_FORK: Final = sys.platform == "linux"
WARM_SECONDS: Final = 60.0


def runner_environment(work_dir: Path) -> dict[str, str]:
    """Return what runners inherit."""
    allowed = {name: os.environ[name] for name in ALLOWED_ENVIRONMENT if name in os.environ}
    if (cache := compiled.cache_dir(work_dir)) is not None:
        allowed["NUMBA_CACHE_DIR"] = str(cache)
    # The kernel's tools are console scripts of this very environment.
    tools = str(Path(sys.executable).parent)
    path = os.pathsep.join([tools, os.environ.get("PATH", os.defpath)])
    return {**allowed, "PATH": path, "PYTHONUNBUFFERED": "1"}


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


class Runners:
    """Starts runners, and keeps zygotes."""

    def __init__(
        self,
        *,
        environment: Mapping[str, str],
        command: tuple[str, ...] = COMMAND,
        fork: bool = CAN_FORK,
        warm_seconds: float | None = WARM_SECONDS,
    ) -> None:
        """Start runners in ``environment``: forks where that is possible and pays, else with ``command``.

        A zygote is kept for ``warm_seconds`` after its last fork; None is for ever.
        """
        self._environment = environment
        self._command = command
        self._zygotes = Zygotes(environment, warm_seconds=warm_seconds) if fork else None

    def warm_up(self) -> None:
        """Have a zygote get warm; nobody waits for it."""
        if self._zygotes is not None:
            self._zygotes.start()

    def start(self, task: str, spec: Path, *, log: Path, temporary: Path) -> Runner:
        """Start the runner of a step in its directory.

        Args:
            task: the step's task.
            spec: the step's spec, in its directory.
            log: what it and all that it starts print.
            temporary: its folder for temporary files.

        Raises:
            OSError: the log cannot be written, or no process can be started.
        """
        environment = {**self._environment, "TMPDIR": str(temporary)}
        if self._zygotes is not None:
            if task in NEEDS_KERNEL | BEFORE_KERNEL:
                self._zygotes.start()
            if (zygote := self._zygotes.take(wait=task in NEEDS_KERNEL)) is not None:
                ended = functools.partial(self._zygotes.give_back, zygote)
                try:
                    return zygote.fork(task, spec, log=log, environment=environment, ended=ended)
                except ServerGone:
                    logger.warning("The zygote is gone; the step starts afresh")
                    ended()
                except OSError:
                    ended()
                    raise
        return Spawned(self._command, spec, log=log, environment=environment)

    def close(self) -> None:
        """End the zygotes, and whatever they have forked."""
        if self._zygotes is not None:
            self._zygotes.close()
