"""A run ends because somebody wants it to: one transaction, and nothing of it succeeds later."""

from datetime import datetime

from django.db import transaction

from qanat.contract.statuses import RunState
from qanat.server.runs import artefacts, lifecycle, projection
from qanat.server.runs.models import ACTIVE_RUN_STATES, Owner, Run
from qanat.server.runs.steps import lock_run


def cancel(*, owner: Owner, kind: str = "", now: datetime) -> Run | None:
    """Cancel the active run of an owner, of a portfolio that of a kind; return it, or None where there is none.

    A run that has recorded its results has nothing left to cancel, and cleans up in peace. Of any other, ready and sent
    steps are cancelled at once; a worker that runs one hears of it at its next heartbeat, and whatever
    it commits before is refused.
    """
    with transaction.atomic():
        active = owner.line(kind).filter(state__in=ACTIVE_RUN_STATES).values_list("pk", flat=True)
        run_id = active.first()
        if run_id is None:
            return None
        run = lock_run(run_id)
        if run.state not in ACTIVE_RUN_STATES or lifecycle.is_recorded(run):
            return None
        phase = lifecycle.current_phase(run)
        lifecycle.end(run, to=RunState.CANCELLED, now=now, cancel_requested_at=now)
        projection.of(run).cancelled(run=run, phase=phase, now=now)
    return run


def is_active(*, owner: Owner, kind: str = "") -> bool:
    """Say whether a run of an owner (``cancel``) is under way and has not recorded all its results yet."""
    active = owner.line(kind).filter(state__in=ACTIVE_RUN_STATES).first()
    return active is not None and not lifecycle.is_recorded(active)


def forget(*, owner: Owner) -> None:
    """Remove the runs of an owner that is being deleted, active or not, and what they left in storage."""
    artefacts.forget(owner=owner)
