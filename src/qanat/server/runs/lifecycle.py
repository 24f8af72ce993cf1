"""The one place that changes a run's state, and says how far a run has come."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from qanat.contract.statuses import Phase, RunKind, RunState, StepState
from qanat.domain import step_state
from qanat.domain.run_plan import PHASES
from qanat.domain.step_state import Event as StepEvent
from qanat.server.runs import artefacts, doorbell, log_context
from qanat.server.runs.models import Event, Run, StockQueue
from qanat.server.runs.steps import move_held


def record(
    run: Run, *, to: RunState, now: datetime, detail: Mapping[str, Any] | None = None, **changes: object
) -> None:
    """Set the state of a run whose row the caller holds, and record it."""
    before = run.state
    run.state = to
    for column, value in changes.items():
        setattr(run, column, value)
    run.save(update_fields=["state", *changes])
    Event.objects.create(run=run, at=now, event=f"run {to}", from_state=before, to_state=to, detail=dict(detail or {}))
    log_context.tell_of_run_after_commit(run)


def end(run: Run, *, to: RunState, now: datetime, detail: Mapping[str, Any] | None = None, **changes: object) -> None:
    """End a run whose row the caller holds: nothing of it that is unfinished goes on.

    A step that a worker is running is cancelled too; its worker hears of it at the next heartbeat, a stock one by
    Celery, and whatever it still sends is refused.
    """
    out = run.steps.filter(state__in=(StepState.SENT, StepState.RUNNING), queue__in=StockQueue.objects.values("name"))
    doorbell.revoke_after_commit(list(out.values_list("celery_id", flat=True)))
    # Held, for a step must not be marked as sent between being looked at and being cancelled.
    left = run.steps.select_for_update(no_key=True).filter(state__in=step_state.UNFINISHED)
    move_held(steps=left, event=StepEvent.CANCELLED, now=now, lease_until=None)
    record(run, to=to, now=now, detail=detail, finished=now, **changes)


def succeed(run: Run, *, now: datetime) -> None:
    """End a run whose row the caller holds and whose results are recorded; what is left of it is not needed."""
    end(run, to=RunState.SUCCEEDED, now=now)
    artefacts.clean_after_commit(run)


def is_recorded(run: Run) -> bool:
    """Say whether all results of a run are its owner's already: at most its cleaning up is left."""
    recorded = run.steps.filter(server_side=True).values_list("state", flat=True)
    return bool(recorded) and all(state == StepState.SUCCEEDED for state in recorded)


def current_phase(run: Run) -> Phase:
    """Return what the run is at: the first of its phases that is not recorded."""
    phases = PHASES[RunKind(run.kind)]
    if len(phases) == 1:
        return phases[0]
    done = run.steps.filter(server_side=True, state=StepState.SUCCEEDED).values_list("phase", flat=True)
    return next((phase for phase in phases if phase not in done), phases[-1])
