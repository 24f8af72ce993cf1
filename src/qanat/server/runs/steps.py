"""The one place that changes a step's state, and the few reads that several verbs share."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from qanat.contract.statuses import StepState
from qanat.domain import step_state
from qanat.domain.step_state import Event as StepEvent
from qanat.server.config.prepared import PreparedInsert, PreparedRows, PreparedUpdate
from qanat.server.runs import log_context
from qanat.server.runs.models import Event, Run, Step
from qanat.server.runs.projection import FileRef

ENDS = (StepState.SUCCEEDED, StepState.FAILED, StepState.CANCELLED)

_change = PreparedUpdate(Step, where=["id", "state", "fence"])
_record = PreparedInsert(Event)
_by_id = PreparedRows(lambda step_id: Step.objects.filter(pk=step_id).order_by())
# First the run is held, then the step: in the order of ``of``, whoever has the other already.
_held = PreparedRows(
    lambda step_id: (
        Step.objects.select_related("run")
        .select_for_update(no_key=True, of=("run", "self"))
        .filter(pk=step_id)
        .order_by()
    )
)
_children = PreparedRows(lambda parent_id: Step.objects.filter(parent_edges__parent=parent_id).order_by("position"))
_finished = PreparedRows(
    lambda run_id, position: (
        Step.objects.filter(run=run_id, state=StepState.SUCCEEDED, position__lt=position)
        .order_by("position")
        .only("result")
    ),
    holes=2,
)


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
    changes = _columns(target, now=now, changes=changes)
    if not _change([step.pk, before, fence], changes):
        return False
    log_context.tell_after_commit(step, event)
    for column, value in changes.items():
        setattr(step, column, value)
    _record(_event(step, event, now=now, before=before, target=target, fence=fence, detail=detail))
    return True


def move_idle(*, steps: Sequence[Step], event: StepEvent, now: datetime, **changes: object) -> int:
    """Apply ``event`` to steps that are all in one state, as ``move`` does, in one transaction; return to how many.

    Left out are, besides those that are not as they were loaded, those that somebody else is changing right now: nobody
    is waited for. ``steps`` are not brought up to date.

    Raises:
        StepTransitionRefused: the table has no such transition from the state as loaded.
    """
    before = StepState(steps[0].state)
    with transaction.atomic():
        rows = Step.objects.select_for_update(skip_locked=True).filter(pk__in=[step.pk for step in steps], state=before)
        fences = dict(rows.order_by().values_list("pk", "fence"))
        moved = [step for step in steps if fences.get(step.pk) == step.fence]
        _move_alike(moved, event, before=before, now=now, changes=changes)
    return len(moved)


def move_held(*, steps: Iterable[Step], event: StepEvent, now: datetime, **changes: Any) -> None:  # noqa: ANN401 - columns
    """Apply ``event`` to steps of one run, as ``move`` does, in as many statements for a thousand as for two.

    The caller holds the run's row, and has loaded the steps since; those that ``move_idle`` could change it holds too.
    ``steps`` are not brought up to date.

    Raises:
        StepTransitionRefused: the table has no such transition from the state of one.
    """
    by_state: dict[StepState, list[Step]] = defaultdict(list)
    for step in steps:
        by_state[StepState(step.state)].append(step)
    for before, alike in by_state.items():
        if len(alike) == 1:  # So it is most often, and then that costs least.
            move(step=alike[0], event=event, now=now, **changes)
        else:
            _move_alike(alike, event, before=before, now=now, changes=changes)


def _move_alike(
    steps: Sequence[Step], event: StepEvent, *, before: StepState, now: datetime, changes: Mapping[str, object]
) -> None:
    """Apply ``event`` to steps whose rows are held and all in one state."""
    target = step_state.after(before, event)
    rows = Step.objects.filter(pk__in=[step.pk for step in steps])
    rows.update(**_columns(target, now=now, changes=changes))
    Event.objects.bulk_create(
        _event(step, event, now=now, before=before, target=target, fence=step.fence) for step in steps
    )
    for step in steps:
        log_context.tell_after_commit(step, event)


def _columns(target: StepState, *, now: datetime, changes: Mapping[str, object]) -> dict[str, Any]:
    """Return all columns of a step that change with its state."""
    return {**({"ended_at": now} if target in ENDS else {}), **changes, "state": target}


def _event(  # noqa: PLR0913 - a row of the table
    step: Step,
    event: StepEvent,
    *,
    now: datetime,
    before: StepState,
    target: StepState,
    fence: int,
    detail: Mapping[str, Any] | None = None,
) -> Event:
    return Event(
        run_id=step.run_id,
        step_id=step.pk,
        at=now,
        event=event,
        from_state=before,
        to_state=target,
        fence=fence,
        detail=dict(detail or {}),
    )


def lock_run(run_id: int) -> Run:
    """Load a run and hold its row: everything that changes a run or its steps goes one at a time.

    Rows that refer to it, such as events, can be written meanwhile.
    """
    run = Run.objects.select_for_update(no_key=True).get(pk=run_id)
    log_context.is_about(run)
    return run


def find(step_id: int) -> Step | None:
    """Load a step, if there is one."""
    return next(iter(_by_id(step_id)), None)


def lock_run_of(step_id: int) -> tuple[Run, Step] | None:
    """Hold the rows of a step's run, as ``lock_run`` does, and of the step, and load both; None where there is none.

    The step's too, for ``move_idle`` changes steps without their runs. Both come as they are once both are held.
    """
    for step in _held(step_id):
        log_context.is_about(step.run)
        return step.run, step
    return None


def outputs_so_far(run: Run, *, before_position: int) -> dict[str, FileRef]:
    """Return the files that the finished steps before a position have written, by label; later steps win."""
    found: dict[str, FileRef] = {}
    for step in _finished(run.pk, before_position):
        found.update(outputs_of(step.result))
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


def release_children(*, parents: Iterable[Step], now: datetime) -> bool:
    """Count ``parents``, which have just succeeded, off their children, and make those ready that wait for nobody.

    The caller holds the run's row, so that the counting cannot interleave. Return whether there were children.
    """
    children: dict[int, Step] = {}
    for parent in parents:
        for child in _children(parent.pk):
            children.setdefault(child.pk, child).parents_left -= 1
    free: list[Step] = []
    waiting: dict[int, list[int]] = defaultdict(list)
    for child in children.values():
        if child.parents_left == 0 and child.state == StepState.WAITING:
            free.append(child)
        else:
            waiting[child.parents_left].append(child.pk)
    for left, ids in waiting.items():
        Step.objects.filter(pk__in=ids).update(parents_left=left)
    move_held(steps=free, event=StepEvent.PARENTS_DONE, now=now, parents_left=0, queued_at=now)
    return bool(children)
