"""The one place that changes a step's state, and the few reads that several verbs share."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from qanat.contract.statuses import StepState
from qanat.domain import step_state
from qanat.domain.step_state import Event as StepEvent
from qanat.server.runs import log_context
from qanat.server.runs.models import Event, Run, Step
from qanat.server.runs.projection import FileRef

ENDS = (StepState.SUCCEEDED, StepState.FAILED, StepState.CANCELLED)


def move(
    *, step: Step, event: StepEvent, now: datetime, detail: Mapping[str, Any] | None = None, **changes: object
) -> bool:
    """Apply ``event`` to ``step`` where it still is as it was loaded; record the event; return whether it was.

    ``changes`` are further columns to write. The comparison is on state and fence, in the database: whoever comes
    second changes nothing. ``step`` is brought up to date in place.

    Raises:
        StepTransitionRefused: the table has no such transition from the state as loaded.
    """
    before = StepState(step.state)
    fence = step.fence
    target = step_state.after(before, event)
    changes["state"] = target
    if target in ENDS:
        changes.setdefault("ended_at", now)
    changed = Step.objects.filter(pk=step.pk, state=before, fence=fence).update(**changes)
    if not changed:
        return False
    log_context.tell_after_commit(step, event)
    for column, value in changes.items():
        setattr(step, column, value)
    Event.objects.create(
        run_id=step.run_id,
        step_id=step.pk,
        at=now,
        event=event,
        from_state=before,
        to_state=target,
        fence=fence,
        detail=dict(detail or {}),
    )
    return True


def lock_run(run_id: int) -> Run:
    """Load a run and hold its row: everything that changes a run or its steps goes one at a time."""
    run = Run.objects.select_for_update().get(pk=run_id)
    log_context.is_about(run)
    return run


def outputs_so_far(run: Run, *, before_position: int) -> dict[str, FileRef]:
    """Return the files that the finished steps before a position have written, by label; later steps win."""
    found: dict[str, FileRef] = {}
    finished = run.steps.filter(state=StepState.SUCCEEDED, position__lt=before_position).order_by("position")
    for result in finished.values_list("result", flat=True):
        found.update(outputs_of(result))
    return found


def outputs_of(result: Mapping[str, Any]) -> dict[str, FileRef]:
    """Return the files named in a step's result, by label."""
    return {label: FileRef.from_json(ref) for label, ref in result.get("outputs", {}).items()}


def inputs_of(step: Step, *, produced: Mapping[str, FileRef]) -> dict[str, FileRef]:
    """Return the files that ``step`` reads, written by earlier steps or supplied with the run; absent ones left out."""
    available = {label: FileRef.from_json(ref) for label, ref in step.run.inputs.items()} | dict(produced)
    wanted: dict[str, FileRef] = {}
    for label in step.reads:
        if label.endswith("/"):
            wanted |= {name: ref for name, ref in available.items() if name.startswith(label)}
        elif label in available:
            wanted[label] = available[label]
    return wanted


def digest_of(step: Step, *, inputs: Mapping[str, FileRef]) -> str:
    """Return the digest of all that decides a step's outputs.

    Objects in storage never change under their key, so the keys stand for the contents.
    """
    identity = [
        step.task,
        step.index,
        step.count,
        step.run.mode,
        step.run.plan.get("loss_chunks"),
        step.writes,
        step.run.reuse_key,
        step.run.parameters,
        sorted((label, ref.key) for label, ref in inputs.items()),
    ]
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()


def release_children(*, parents: Iterable[Step], now: datetime) -> None:
    """Count ``parents``, which have just succeeded, off their children, and make those ready that wait for nobody.

    The caller holds the run's row, so that the counting cannot interleave.
    """
    for parent in parents:
        for child in Step.objects.filter(parent_edges__parent=parent).order_by("position"):
            left = child.parents_left - 1
            if left == 0 and child.state == StepState.WAITING:
                move(step=child, event=StepEvent.PARENTS_DONE, now=now, parents_left=0, queued_at=now)
            else:
                Step.objects.filter(pk=child.pk).update(parents_left=left)
