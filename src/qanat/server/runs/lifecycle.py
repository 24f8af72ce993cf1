"""The one place that changes a run's state."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from qanat.contract.statuses import RunState
from qanat.domain import step_state
from qanat.domain.step_state import Event as StepEvent
from qanat.server.runs.models import Event, Run
from qanat.server.runs.steps import move


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


def end(run: Run, *, to: RunState, now: datetime, detail: Mapping[str, Any] | None = None, **changes: object) -> None:
    """End a run whose row the caller holds: nothing of it that is unfinished goes on.

    A step that a worker is running is cancelled too; its worker hears of it at the next heartbeat, and whatever it
    still sends is refused.
    """
    for step in run.steps.filter(state__in=step_state.UNFINISHED):
        move(step=step, event=StepEvent.CANCELLED, now=now, lease_until=None)
    record(run, to=to, now=now, detail=detail, finished=now, **changes)
