"""Runners: a process for each step, and one kept warm while a run is under way.

To import the kernel takes several seconds of one core. While a step runs on another core, the next step's runner does
that already; it is as fresh as any (a process, session and environment of its own), only early. One that nobody needs
for a while is ended, so that an idle worker stays small.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

from qanat.contract import tasks

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
BEFORE_KERNEL: Final = frozenset(
    {
        tasks.PREPARE_INPUT_GENERATION_PARAMS,
        tasks.PREPARE_KEYS_FILE_CHUNK,
        tasks.PREPARE_LOSSES_GENERATION_PARAMS,
        tasks.PREPARE_LOSSES_GENERATION_DIRECTORY,
        tasks.GENERATE_LOSSES_CHUNK,
    }
)
"""Tasks after which the same run needs the kernel again."""
COMMAND: Final = (sys.executable, "-m", "qanat.worker.runner")
WARM_FOR_SECONDS: Final = 60.0


class Runner:
    """A process that runs one step; ``close`` when it has ended, or is not wanted any more."""

    def __init__(self, *, command: tuple[str, ...], environment: Mapping[str, str], warm: bool) -> None:
        """Prepare a runner; a warm one starts at once, imports the kernel and waits."""
        self.supervisor_fd, self._held_fd = os.pipe()
        self._command = command
        self._environment = dict(environment)
        self.process: subprocess.Popen[bytes] | None = None
        if warm:
            self.process = self._spawn([*command, "--warm"], stdin=subprocess.PIPE)

    def start(self, spec_path: Path, *, log: Path, temporary: Path) -> "subprocess.Popen[bytes]":
        """Run the step of a spec in its directory, with its log and its folder for temporary files."""
        if self.process is None:
            with log.open("ab") as stream:
                self._environment["TMPDIR"] = str(temporary)
                self.process = self._spawn([*self._command, str(spec_path)], stdout=stream, cwd=spec_path.parent)
        else:
            order = {"spec": str(spec_path), "log": str(log), "temporary": str(temporary)}
            assert self.process.stdin is not None  # noqa: S101 - for the type checker
            try:
                self.process.stdin.write(json.dumps(order).encode() + b"\n")
                self.process.stdin.close()
            except BrokenPipeError:
                self.process.wait()  # It died before its time; its exit code says how.
        return self.process

    @property
    def alive(self) -> bool:
        """Whether a warm runner still waits."""
        return self.process is not None and self.process.poll() is None

    def close(self) -> None:
        """Let go: a runner that still lives ends itself."""
        for descriptor in (self.supervisor_fd, self._held_fd):
            os.close(descriptor)

    def _spawn(
        self,
        command: list[str],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        cwd: Path | None = None,
    ) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603 - our own runner
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=self._environment,
            pass_fds=(self.supervisor_fd,),
            start_new_session=True,
        )


class Runners:
    """Hands out runners and keeps at most one warm."""

    def __init__(self, *, environment: Mapping[str, str], command: tuple[str, ...] = COMMAND) -> None:
        """Start runners with ``command`` in ``environment``."""
        self._environment = environment
        self._command = command
        self._lock = threading.Lock()
        self._warm: Runner | None = None
        self._expiry: threading.Timer | None = None

    def take(self, task: str) -> Runner:
        """Return a runner: the warm one for a task that needs the kernel; warm the next where such a task follows."""
        taken: Runner | None = None
        with self._lock:
            if task in NEEDS_KERNEL and self._warm is not None:
                taken, self._warm = self._warm, None
        if taken is not None and not taken.alive:
            taken.close()
            taken = None
        runner = taken or Runner(command=self._command, environment=self._environment, warm=False)
        if task in BEFORE_KERNEL:
            self._prepare()
        return runner

    def close(self) -> None:
        """End the warm runner."""
        with self._lock:
            warm, self._warm = self._warm, None
            if self._expiry is not None:
                self._expiry.cancel()
        if warm is not None:
            if warm.process is not None:
                warm.process.kill()
                warm.process.wait()
                if warm.process.stdin is not None:
                    warm.process.stdin.close()
            warm.close()

    def _prepare(self) -> None:
        with self._lock:
            if self._warm is None:
                self._warm = Runner(command=self._command, environment=self._environment, warm=True)
            if self._expiry is not None:
                self._expiry.cancel()
            self._expiry = threading.Timer(WARM_FOR_SECONDS, self.close)
            self._expiry.daemon = True
            self._expiry.start()
