"""The supervisor: claims a step, has a runner do it, keeps the lease alive, and commits or fails it.

It never runs model code. Whatever happens to it, the step is safe: its lease runs out and somebody else gets it;
whatever happens to the runner, the supervisor sees the end of it, ends the rest of its session and says what happened.
"""

import contextlib
import functools
import json
import logging
import shutil
import signal
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from qanat import logs
from qanat.contract import along, tasks
from qanat.contract.statuses import FailureClass
from qanat.contract.worker_protocol import Claim, Commit, Failure, Heartbeat, Resources, StepSpec
from qanat.worker import memory, processes, shims, tool_server
from qanat.worker.deadlock import Deadlock
from qanat.worker.identity import ModelIdentity
from qanat.worker.kept import Kept
from qanat.worker.run_dir import DISK_IS_FULL, EXIT_DISK_FULL, PROGRESS, RESULT, RunDir
from qanat.worker.runner_spec import RunnerSpec
from qanat.worker.runners import Runners, runner_environment
from qanat.worker.server import BEATS_PER_LEASE, Refused, Server, ServerAway
from qanat.worker.settings import WorkerSettings
from qanat.worker.transfer import Brought, Transfer

logger = logging.getLogger(__name__)

V1_TASKS: Final = frozenset({tasks.GENERATE_INPUT, tasks.RUN_ANALYSIS})
WORTH_A_LOOK: Final = frozenset({FailureClass.MODEL, FailureClass.OUT_OF_MEMORY, FailureClass.WORKER_LOST})
"""Failures of which something can be learned from the directory of the step."""
LITTLE_ROOM_BYTES: Final = 2**20
LOG_TAIL_BYTES: Final = 8_000
SHORTEST_PAUSE_SECONDS: Final = 1.0
"""Between two looks at what an attempt uses."""
PAUSE_FOR_EACH_SECOND: Final = 50
"""So many times as long as a look took, so that looking takes a fiftieth of a core at most."""


@dataclass
class Attempt:
    """A step under way."""

    spec: StepSpec
    run_dir: RunDir
    files: Transfer
    sessions: Collection[int] = ()
    """Of the runner, and of the server of its tools: all that the step starts."""
    ended: threading.Event = field(default_factory=threading.Event)
    abandoned: threading.Event = field(default_factory=threading.Event)
    """The step is no longer ours: nothing is reported."""
    handed_back: threading.Event = field(default_factory=threading.Event)
    """The worker drains: the step goes back."""
    last_beat: float = field(default_factory=time.monotonic)
    last_try: float = field(default_factory=time.monotonic)
    oom_kills_before: int = field(default_factory=lambda: memory.oom_kills())  # noqa: PLW0108 - asked anew
    peak_memory: int = 0
    cpu_seconds: float = 0.0
    run_seconds: float | None = None
    disk_was_full: bool = False
    """At one of the looks: by the time that the step has ended, others may have made room."""
    worth_a_look: bool = False
    """Whether it failed in a way of which its directory may tell more."""
    killed_because: str = "was killed from outside"
    """What became of the step where its processes were killed."""
    deadlock: Deadlock = field(init=False)

    def __post_init__(self) -> None:
        """Have its processes looked at."""
        self.deadlock = Deadlock(self.run_dir.path)

    def look_at_disk(self) -> None:
        """Note whether the disk is full now."""
        self.disk_was_full |= shutil.disk_usage(self.run_dir.path).free < LITTLE_ROOM_BYTES

    def resources(self) -> Resources:
        """Return what the attempt has used so far, and how far it is where that is known."""
        used = Resources(peak_memory_bytes=self.peak_memory, cpu_seconds=round(self.cpu_seconds, 2))
        if self.run_seconds is not None:
            used["run_seconds"] = round(self.run_seconds, 3)
        with contextlib.suppress(OSError):
            used.update(json.loads((self.run_dir.path / PROGRESS).read_text()))
        return used


class Supervisor:
    """Runs steps, one at a time in each thread that calls ``run``."""

    def __init__(
        self, *, settings: WorkerSettings, model: ModelIdentity, server: Server, runners: Runners | None = None
    ) -> None:
        """Run steps of ``model`` for ``server``."""
        self._settings = settings
        self._model = model
        self._server = server
        self._runners = runners or Runners(
            environment=runner_environment(settings.work_dir), warm_seconds=settings.warm_seconds
        )
        self._kept = Kept(settings.work_dir, days=settings.kept_days, most_bytes=settings.kept_bytes)
        self._taken: set[tuple[int, int]] = set()
        """Steps with their fences that a thread is at, claimed or about to be."""
        self._running: dict[tuple[int, int], Attempt] = {}
        self._lock = threading.Lock()
        self.draining = threading.Event()

    @functools.cached_property
    def _shim(self) -> Path | None:
        return shims.compiled(self._settings.work_dir)

    def warm_up(self) -> None:
        """Have the kernel imported before the first step needs it."""
        self._runners.warm_up()

    def look_after_kept(self, ended: threading.Event) -> None:
        """Remove directories of attempts that were kept long enough, now and then, until the end."""
        self._kept.look_after(ended)

    def run(self, *, step_id: int, fence: int) -> None:
        """Claim a step and see it through; a step that is not to be had is forgotten."""
        doorbell = (step_id, fence)
        with self._lock:
            # The server gives the same answer to a worker that asks again; another thread must not take it for its own.
            if self.draining.is_set() or doorbell in self._taken:
                return
            self._taken.add(doorbell)
        try:
            with logs.about(step=step_id, attempt=fence):
                self._claim(step_id, fence)
        finally:
            with self._lock:
                self._taken.discard(doorbell)

    def _claim(self, step_id: int, fence: int) -> None:
        try:
            spec = self._server.claim(step_id, Claim(fence=fence, worker=self._settings.name))
        except Refused as refusal:
            logger.debug("Not ours: %s", refusal)
            return
        except ServerAway as away:
            logger.warning("The step could not be claimed, its doorbell rings again: %s", away)
            return
        with logs.about(run=spec["run_id"], analysis=spec["analysis_id"], sub_task=spec["slug"]):
            self._see_through(spec)

    def _see_through(self, spec: StepSpec) -> None:
        started = time.monotonic()
        logger.info("The step begins")
        try:
            self._attempt(spec)
        except Refused as refusal:
            logger.info("The step is no longer ours, what it made is discarded: %s", refusal)
        except ServerAway as away:
            logger.warning("The step cannot be reported and will be given to another: %s", away)
        logger.info("The step ended after %.1f s", time.monotonic() - started)

    def drain(self) -> None:
        """Take nothing more, stop what runs and hand it back."""
        self.draining.set()
        with self._lock:
            attempts = list(self._running.values())
        for attempt in attempts:
            attempt.handed_back.set()
            self._end(attempt, grace_seconds=1.0)
        self._runners.close()

    def _attempt(self, spec: StepSpec) -> None:
        try:
            run_dir = RunDir.create(
                self._settings.work_dir, name=f"run-{spec['run_id']}-{spec['slug']}-{spec['fence']}"
            )
        except OSError as error:
            self._server.fail(spec, self._no_room(spec, error))
            return
        attempt = Attempt(spec=spec, run_dir=run_dir, files=Transfer(self._server, spec, run_dir))
        with self._lock:
            self._running[spec["step_id"], spec["fence"]] = attempt
        if self.draining.is_set():
            attempt.handed_back.set()
        beat = logs.carried(functools.partial(self._beat, attempt))
        beats = threading.Thread(target=beat, name=f"beat {spec['slug']}", daemon=True)
        beats.start()
        try:
            self._run_and_report(attempt)
        finally:
            attempt.ended.set()
            beats.join()
            with self._lock:
                del self._running[spec["step_id"], spec["fence"]]
            self._leave(attempt)

    def _leave(self, attempt: Attempt) -> None:
        """Remove the directory of an attempt that has ended, or keep it for whoever wants to know why it failed."""
        settings = self._settings
        wanted = settings.keep_run_dir if attempt.spec["task"] in V1_TASKS else settings.keep_local_data
        if not (attempt.worth_a_look or wanted):
            attempt.run_dir.remove()
        elif (kept := self._kept.take(attempt.run_dir, now=time.time())) is not None:
            logger.info("The directory of the step is kept: %s", kept)

    def _run_and_report(self, attempt: Attempt) -> None:
        spec = attempt.spec
        try:
            exit_code = self._execute(attempt)
        except OSError as error:
            self._server.fail(spec, self._no_room(spec, error))
            return
        if attempt.abandoned.is_set():
            return  # It is somebody else's, and so is its log.
        try:
            attempt.files.send_rest_of_log(but_bytes=0 if attempt.handed_back.is_set() else along.SMALL_BYTES)
        except ServerAway as away:
            # A log is not worth the step's work: what there is of it stays with the step.
            logger.warning("The end of its log is lost: %s", away)
        if attempt.handed_back.is_set() and not attempt.abandoned.is_set():
            self._server.release(spec)
            return
        if attempt.abandoned.is_set():
            return
        result = self._result(attempt)
        brought = attempt.files.bring(result.get("outputs", {}))
        if exit_code == 0 and "failure_class" not in result and result:
            self._server.commit(
                spec,
                Commit(fence=spec["fence"], result=result["facts"], resources=attempt.resources(), **brought),
            )
            return
        failure = self._failure(attempt, result, exit_code, brought)
        attempt.worth_a_look = failure["failure_class"] in WORTH_A_LOOK
        self._server.fail(spec, failure)

    def _execute(self, attempt: Attempt) -> int:
        """Download, run, and wait; return the runner's exit code (negative: the signal that ended it)."""
        spec_path = self._write_spec(attempt, attempt.files.fetch())
        run_dir = attempt.run_dir
        started = time.monotonic()
        runner = self._runners.start(attempt.spec["task"], spec_path, log=run_dir.log, temporary=run_dir.temporary)
        try:
            attempt.sessions = runner.sessions
            run_dir.belongs_to(runner.pid)
            if attempt.abandoned.is_set() or attempt.handed_back.is_set():
                self._end(attempt, grace_seconds=1.0)
            ended = runner.wait()
            attempt.run_seconds = time.monotonic() - started
            # Whatever the step left running has no business any more.
            self._end(attempt, grace_seconds=self._settings.kill_after_seconds)
        finally:
            runner.close()
        attempt.look_at_disk()
        attempt.cpu_seconds = max(attempt.cpu_seconds, ended.cpu_seconds)
        attempt.peak_memory = attempt.peak_memory or ended.peak_memory_bytes
        return ended.exit_code

    def _write_spec(self, attempt: Attempt, inputs: dict[str, Path]) -> Path:
        spec = attempt.spec
        return RunnerSpec.of(
            self._model,
            task=spec["task"],
            index=spec["index"],
            count=spec["count"],
            writes=spec["outputs"],
            parameters=spec["parameters"],
            inputs=inputs,
            kernel_level=self._settings.kernel_level,
            shim=self._shim if spec["task"] in tool_server.NEEDS_TOOLS else None,
        ).write(attempt.run_dir.path)

    def _beat(self, attempt: Attempt) -> None:
        """Keep the lease alive until the attempt ends; do what the server answers."""
        spec = attempt.spec
        every = spec["lease_seconds"] / BEATS_PER_LEASE
        pause = SHORTEST_PAUSE_SECONDS
        while not attempt.ended.wait(min(every, pause)):
            pause = max(SHORTEST_PAUSE_SECONDS, PAUSE_FOR_EACH_SECOND * self._look_at(attempt))
            if time.monotonic() - attempt.last_try < every:
                continue
            attempt.last_try = time.monotonic()
            try:
                beat = Heartbeat(fence=spec["fence"], resources=attempt.resources())
                verdict = self._server.heartbeat(spec, beat)
                attempt.last_beat = time.monotonic()
                attempt.files.send_log()
            except Refused:
                verdict = "lost"
            except ServerAway as away:
                silent = time.monotonic() - attempt.last_beat
                logger.warning("No heartbeat for %.0f s: %s", silent, away)
                verdict = "lost" if silent > spec["lease_seconds"] else "continue"
            if verdict in {"cancel", "lost"}:
                logger.info("The step is stopped: %s", verdict)
                attempt.abandoned.set()
                self._end(attempt, grace_seconds=self._settings.kill_after_seconds)
                return
            if verdict == "drain":
                self.draining.set()

    @staticmethod
    def _end(attempt: Attempt, *, grace_seconds: float) -> None:
        if attempt.sessions:
            processes.end(attempt.sessions, directory=attempt.run_dir.path, grace_seconds=grace_seconds)

    def _look_at(self, attempt: Attempt) -> float:
        """Look at what the attempt uses and whether it can go on; return how long that took, in CPU-seconds."""
        started = time.thread_time()
        attempt.look_at_disk()
        if attempt.sessions:
            used = processes.usage(attempt.sessions)
            attempt.peak_memory = max(attempt.peak_memory, used.memory_bytes)
            attempt.cpu_seconds = max(attempt.cpu_seconds, used.cpu_seconds)
            if waiting := attempt.deadlock.found(attempt.sessions):
                self._give_up(attempt, waiting)
        return time.thread_time() - started

    @staticmethod
    def _give_up(attempt: Attempt, waiting: Collection[str]) -> None:
        """Kill what can never go on, and say in its log what it waited for, after what its tools complained of."""
        attempt.killed_because = "was given up: its processes waited for one that had ended before it opened its pipe"
        logger.warning("'%s' %s", attempt.spec["slug"], attempt.killed_because)
        complaints = map(_tail, attempt.run_dir.path.rglob(tool_server.COMPLAINTS))
        with attempt.run_dir.log.open("a") as log:
            log.writelines(f"{line}\n" for line in (*filter(None, complaints), *waiting))
        processes.kill(attempt.sessions)

    @staticmethod
    def _result(attempt: Attempt) -> dict[str, Any]:
        path = attempt.run_dir.path / RESULT
        if not path.is_file():
            return {}
        result: dict[str, Any] = json.loads(path.read_text())
        return result

    def _failure(self, attempt: Attempt, result: dict[str, Any], exit_code: int, brought: Brought) -> Failure:
        ended_by = -exit_code if exit_code < 0 else None
        slug = attempt.spec["slug"]
        short = memory.oom_kills() > attempt.oom_kills_before
        unclear = result.get("failure_class", FailureClass.MODEL) in (FailureClass.MODEL, FailureClass.WORKER_LOST)
        if unclear and (attempt.disk_was_full or exit_code == EXIT_DISK_FULL):
            # Whatever the model says of it: the step may not even have been able to write down its result.
            failure_class, message = FailureClass.INFRASTRUCTURE, DISK_IS_FULL
        elif unclear and short:
            failure_class = FailureClass.OUT_OF_MEMORY
            message = f"The host ran out of memory while '{slug}' ran, and killed one of its processes."
        elif "failure_class" in result:
            failure_class, message = result["failure_class"], result["message"]
        elif ended_by == signal.SIGKILL:
            failure_class = FailureClass.WORKER_LOST
            message = f"'{slug}' {attempt.killed_because}."
        elif ended_by is not None:
            failure_class = FailureClass.MODEL
            message = f"'{slug}' was ended by signal {ended_by} ({signal.Signals(ended_by).name})."
        else:
            failure_class = FailureClass.MODEL
            message = f"'{slug}' ended with exit code {exit_code} and no result."
        return Failure(
            fence=attempt.spec["fence"],
            failure_class=failure_class,
            message=message,
            traceback=result.get("traceback") or _tail(attempt.run_dir.log),
            exit_code=exit_code if exit_code >= 0 else None,
            signal=ended_by,
            resources=attempt.resources(),
            no_keys=bool(result.get("no_keys")),
            **brought,
        )

    @staticmethod
    def _no_room(spec: StepSpec, error: OSError) -> Failure:
        return Failure(
            fence=spec["fence"],
            failure_class=FailureClass.INFRASTRUCTURE,
            message=f"The worker cannot use its work directory: {error.strerror}. Make room; the step is tried again.",
            traceback=str(error),
            exit_code=None,
            signal=None,
            resources=None,
            outputs=[],
        )


def _tail(path: Path) -> str:
    if not path.exists():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
        return log.read().decode(errors="replace")
