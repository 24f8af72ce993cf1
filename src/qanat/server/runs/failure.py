"""An attempt failed: the step is tried again, or the run ends and the analysis shows the error at once."""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from qanat.contract.statuses import FailureClass, RunMode, RunState
from qanat.domain import retries
from qanat.domain.run_plan import RESULTS, TRACEBACK
from qanat.domain.step_state import Event as StepEvent
from qanat.server.counting import counters
from qanat.server.runs import artefacts, doorbell, lifecycle, projection
from qanat.server.runs.claims import StepRefused, held, hold
from qanat.server.runs.log_context import about_step
from qanat.server.runs.models import Run, Step
from qanat.server.runs.projection import FileRef
from qanat.server.runs.steps import move

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class AttemptFailed:
    """What is known of a failed attempt."""

    failure_class: FailureClass
    message: str
    """One sentence for the user."""
    traceback: str = ""
    exit_code: int | None = None
    signal: int | None = None
    no_keys: bool = False
    final: bool = False
    """Whoever ran it has tried again by itself, as stock workers do."""
    outputs: Mapping[str, FileRef] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return what the step's row keeps of it."""
        return {
            "class": self.failure_class,
            "message": self.message,
            "exit_code": self.exit_code,
            "signal": self.signal,
            "peak_memory_bytes": self.resources.get("peak_memory_bytes"),
        }

    def as_text(self) -> str:
        """Return the report that a person reads."""
        lines = [self.message]
        if self.exit_code is not None:
            lines.append(f"exit code: {self.exit_code}")
        if self.signal is not None:
            lines.append(f"ended by signal: {self.signal}")
        if peak := self.resources.get("peak_memory_bytes"):
            lines.append(f"peak memory: {peak / 2**20:.0f} MiB")
        return "\n".join([*lines, "", self.traceback]).rstrip() + "\n"


@about_step
def fail(*, step_id: int, fence: int, attempt: AttemptFailed, now: datetime) -> bool:
    """Record a failed attempt; return whether the step is tried again.

    Raises:
        StepRefused: the step is no longer the caller's.
    """
    step = held(step_id=step_id, fence=fence)
    saved = artefacts.save_failure(step, report=attempt.as_text())
    with transaction.atomic():
        run, step = hold(step_id=step_id, fence=fence)
        if run.state != RunState.ACTIVE:
            message = f"The run of '{step.slug}' has ended: it is {run.state}."
            raise StepRefused(message)
        attempts = retries.Attempts(**step.failures).plus(attempt.failure_class)
        verdict = retries.GIVE_UP if attempt.final else retries.judge(failure=attempt.failure_class, attempts=attempts)
        changes: dict[str, Any] = {
            "failures": asdict(attempts),
            "error": attempt.as_json(),
            "resources": {**step.resources, **attempt.resources},
            "lease_until": None,
            "output_log": saved.log,
        }
        if verdict.retry:
            move(
                step=step,
                event=StepEvent.HANDED_BACK,
                now=now,
                detail=attempt.as_json(),
                fence=step.fence + 1,
                celery_id=uuid.uuid4().hex,
                not_before=now + timedelta(seconds=verdict.delay_seconds),
                fewer_processes=step.fewer_processes or verdict.fewer_processes,
                worker="",
                queued_at=now,
                retries=step.retries + 1,
                retry_log=saved.retry_log,
                **changes,
            )
        else:
            move(
                step=step,
                event=StepEvent.FAILED,
                now=now,
                detail=attempt.as_json(),
                error_log=saved.error_log.key,
                **changes,
            )
            _end_run(run, step, attempt=attempt, report=saved.error_log, now=now)
        doorbell.wake_controller()
    what_follows = f"it is tried again in {verdict.delay_seconds:g} s" if verdict.retry else "this is final"
    logger.info("The attempt failed (%s): %s", attempt.failure_class, what_follows)
    counters.FAILURES.labels(step.queue, attempt.failure_class, str(verdict.retry).lower()).inc()
    return verdict.retry


def _end_run(run: Run, step: Step, *, attempt: AttemptFailed, report: FileRef, now: datetime) -> None:
    if lifecycle.is_recorded(run):
        lifecycle.succeed(run, now=now)  # It is only its cleaning up that failed; nobody's results suffer.
        return
    phase = lifecycle.current_phase(run)
    lifecycle.end(run, to=RunState.FAILED, now=now, error={"step": step.slug, **attempt.as_json()})
    outputs = {label: ref for label, ref in attempt.outputs.items() if label in RESULTS[phase]}
    if run.mode == RunMode.V2 or TRACEBACK[phase] not in outputs:
        outputs[TRACEBACK[phase]] = report
    projection.of(run).failed(run=run, phase=phase, no_keys=attempt.no_keys, outputs=outputs, now=now)
