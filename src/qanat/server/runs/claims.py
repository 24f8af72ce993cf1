"""A worker takes a step, keeps its lease alive, streams its log and, when it drains, hands the step back."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from qanat.contract.statuses import Phase, RunState, StepState
from qanat.contract.worker_protocol import HeartbeatVerdict
from qanat.domain import step_state
from qanat.domain.step_state import Event as StepEvent
from qanat.server.files.storage import storage
from qanat.server.runs import doorbell, progress, projection
from qanat.server.runs.log_context import about_step
from qanat.server.runs.models import Run, Step, Worker
from qanat.server.runs.projection import FileRef
from qanat.server.runs.steps import digest_of, find, inputs_of, lock_run_of, move, outputs_so_far

LOG_PART = "log-{:012d}.txt"
"""A piece of a log, named by where it begins."""


class StepRefused(Exception):
    """The fence is stale, or the step is not to be had: whoever asks forgets it and discards what it made."""


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A step that now belongs to the worker, and the files it reads."""

    step: Step
    inputs: Mapping[str, FileRef]


@about_step
def claim(*, step_id: int, fence: int, worker: str, lease: timedelta, now: datetime) -> Claimed:
    """Give a step to a worker until ``now + lease``.

    Asking again with the same fence and name gives the same answer, for the first one may have been lost on the way.

    Raises:
        StepRefused: somebody else has it, the fence is old, or the run has ended.
    """
    with transaction.atomic():
        run, step = locked(step_id)
        if step.fence != fence or run.state != RunState.ACTIVE:
            message = f"'{step.slug}' is {step.state} with fence {step.fence}; this doorbell is stale."
            raise StepRefused(message)
        inputs = inputs_of(step, produced=outputs_so_far(run, before_position=step.position))
        if step.state == StepState.RUNNING and step.worker == worker:
            return Claimed(step=step, inputs=inputs)
        if step.state not in step_state.CLAIMABLE:
            message = f"'{step.slug}' is {step.state}: another worker was first."
            raise StepRefused(message)
        if not move(
            step=step,
            event=StepEvent.CLAIMED,
            now=now,
            detail={"worker": worker},
            worker=worker,
            attempt=step.attempt + 1,
            lease_until=now + lease,
            ring_at=None,
            rings=0,
            log_parts=[],
            digest=digest_of(step, inputs=inputs),
            started_at=step.started_at or now,
        ):
            message = f"'{step.slug}' has changed meanwhile: its doorbell rings again."
            raise StepRefused(message)
        if step.phase not in run.plan.get("begun", ()):
            run.plan = {**run.plan, "begun": [*run.plan.get("begun", ()), step.phase]}
            run.started = run.started or now
            run.save(update_fields=["plan", "started"])
            projection.of(run).picked_up(run=run, phase=Phase(step.phase), now=now)
    return Claimed(step=step, inputs=inputs)


def heartbeat(
    *, step_id: int, fence: int, lease: timedelta, now: datetime, resources: Mapping[str, Any] | None = None
) -> HeartbeatVerdict:
    """Extend the lease and say what the worker shall do with the step."""
    changes: dict[str, Any] = {"lease_until": now + lease}
    if resources:
        changes["resources"] = dict(resources)
    held = Step.objects.filter(pk=step_id, fence=fence, state=StepState.RUNNING, run__state=RunState.ACTIVE).update(
        **changes
    )
    if held:
        if resources and "events_total" in resources:
            progress.show(_load(step_id).run, now=now)
        worker = Worker.objects.filter(pk__in=Step.objects.filter(pk=step_id).values("worker"), draining=True)
        return "drain" if worker.exists() else "continue"
    cancelled = Step.objects.filter(pk=step_id, fence=fence, state=StepState.CANCELLED).exists()
    return "cancel" if cancelled else "lost"


@about_step
def append_log(step: Step, *, offset: int, text: bytes) -> int:
    """Keep a piece of the log of an attempt that is held; return the number of bytes kept so far.

    A piece that came before is not kept twice; the worker goes on from the size in the answer.

    Raises:
        StepRefused: the step is no longer the worker's.
    """
    prefix = attempt_prefix(step)
    known = _logged(step.log_parts)
    if offset > known:
        return known
    fresh = text[known - offset :]
    if not fresh:
        return known
    key = f"{prefix}/{LOG_PART.format(known)}"
    storage().write(key, [fresh])
    parts = [*step.log_parts, key]
    if not Step.objects.filter(pk=step.pk, fence=step.fence, state=StepState.RUNNING).update(log_parts=parts):
        storage().delete(key)
        message = f"'{step.slug}' is no longer this worker's."
        raise StepRefused(message)
    step.log_parts = parts
    return known + len(fresh)


def _logged(parts: list[str]) -> int:
    """Return how much of a log is kept: the offset that the last piece's name says, and its size."""
    if not parts:
        return 0
    return int(parts[-1].rpartition("-")[2].removesuffix(".txt")) + storage().size(parts[-1])


@about_step
def hand_back(*, step_id: int, fence: int, now: datetime) -> None:
    """Take a step back from a worker that is going away; this counts as no failure.

    Raises:
        StepRefused: the step is no longer the worker's.
    """
    with transaction.atomic():
        _, step = hold(step_id=step_id, fence=fence)
        move(
            step=step,
            event=StepEvent.HANDED_BACK,
            now=now,
            detail={"reason": "worker is draining"},
            fence=step.fence + 1,
            celery_id=uuid.uuid4().hex,
            lease_until=None,
            worker="",
            queued_at=now,
        )
        doorbell.wake_controller()


def hello(  # noqa: PLR0913 - a worker's sign of life is a record
    *, worker: str, queues: list[str], slots: int, draining: bool, versions: Mapping[str, str], now: datetime
) -> None:
    """Note that a worker lives. When one is new, doorbells of its queues that nobody heard ring again at once."""
    _, created = Worker.objects.update_or_create(
        pk=worker,
        defaults={
            "queues": queues,
            "slots": slots,
            "draining": draining,
            "versions": dict(versions),
            "last_seen": now,
        },
    )
    if created:
        Step.objects.filter(state=StepState.SENT, queue__in=queues).update(ring_at=now)
        doorbell.wake_controller()


def held(*, step_id: int, fence: int) -> Step:
    """Load a step that is running under this fence.

    Raises:
        StepRefused: it is not.
    """
    step = _load(step_id)
    require_held(step, fence=fence)
    return step


def require_held(step: Step, *, fence: int) -> None:
    """Refuse where a step as loaded does not run under this fence.

    Raises:
        StepRefused: it does not.
    """
    if step.fence != fence or step.state != StepState.RUNNING:
        message = (
            f"Step {step.pk} is not running under fence {fence}: it was cancelled, finished or given to another worker."
        )
        raise StepRefused(message)


def locked(step_id: int) -> tuple[Run, Step]:
    """Hold the row of a step's run, and load both.

    Raises:
        StepRefused: there is no such step.
    """
    found = lock_run_of(step_id)
    if found is None:
        raise _gone(step_id)
    return found


def hold(*, step_id: int, fence: int) -> tuple[Run, Step]:
    """Hold the rows of a step that is running under this fence and of its run, and load both.

    Raises:
        StepRefused: it is not.
    """
    run, step = locked(step_id)
    require_held(step, fence=fence)
    return run, step


def load(step_id: int, *, fence: int) -> Step:
    """Load a step that has this fence, in whatever state.

    Raises:
        StepRefused: there is no such step.
    """
    step = _load(step_id)
    if step.fence != fence:
        message = f"'{step.slug}' was given to another worker: its fence is {step.fence}, not {fence}."
        raise StepRefused(message)
    return step


def attempt_prefix(step: Step) -> str:
    """Return where in storage the outputs and logs of the present attempt lie."""
    return f"{run_prefix(step.run_id)}/{step.slug}-{step.fence}"


def run_prefix(run_id: int) -> str:
    """Return where in storage all that the attempts of a run have made lies."""
    return f"runs/{run_id}"


def run_of_prefix(key: str) -> int | None:
    """Return the run whose ``run_prefix`` this is, or None where it is something else."""
    folder, _, number = key.partition("/")
    return int(number) if folder == "runs" and number.isdecimal() else None


def _load(step_id: int) -> Step:
    step = find(step_id)
    if step is None:
        raise _gone(step_id)
    return step


def _gone(step_id: int) -> StepRefused:
    return StepRefused(f"There is no step {step_id}: its analysis was deleted.")
