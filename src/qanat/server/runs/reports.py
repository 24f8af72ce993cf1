"""What kernels say themselves of the events they have done (wire contract, section 6.3): for display, nothing else.

A kernel says once how many events there are in all, and then again and again how many more are done. The counts are
kept with the run and shown as those that come with heartbeats are (``progress``).
"""

from datetime import datetime

from django.db import transaction

from qanat.contract.statuses import RunState, StepState
from qanat.domain.chunking import share_of_events
from qanat.domain.run_plan import GO_THROUGH_EVENTS
from qanat.server.runs import progress
from qanat.server.runs.claims import StepRefused, hold
from qanat.server.runs.models import Owner, Run, Step


class NotRunning(Exception):
    """What is reported about has no losses that run."""


def of_step(*, step_id: int, fence: int, total: int | None, done: int | None, now: datetime) -> None:
    """Take in what the kernel of a step says.

    Args:
        step_id: the step.
        fence: of the claim on it.
        total: number of events of the whole run, of which each chunk has its share; sets what is done to 0.
        done: number of events done since the kernel last said so.
        now: the database's time.

    Raises:
        StepRefused: the step does not run under this fence.
    """
    with transaction.atomic():
        run, step = hold(step_id=step_id, fence=fence)
        if run.state != RunState.ACTIVE or step.task not in GO_THROUGH_EVENTS:
            message = f"'{step.slug}' has no events to be done: its run is {run.state}."
            raise StepRefused(message)
        share = None if total is None else share_of_events(total, index=step.index, count=step.count)
        _note(run, step.slug, total=share, done=done, now=now)


def of_owner(*, owner: Owner, total: int | None, done: int | None, now: datetime) -> None:
    """Take in what a kernel says that does not tell which step it works for.

    Where losses come in several chunks, each says the total when it begins: the same again is no new beginning.

    Raises:
        NotRunning: no losses of the owner are running.
    """
    with transaction.atomic():
        active = owner.runs().filter(state=RunState.ACTIVE).select_for_update().first()
        running = _running_losses(active) if active is not None else None
        if active is None or running is None:
            message = f"No losses of {owner.kind} {owner.id} are running."
            raise NotRunning(message)
        known = active.plan.get(progress.REPORTED, {}).get(progress.WHOLE_RUN, {})
        again = running.count > 1 and total is not None and total == known.get("events_total")
        _note(active, progress.WHOLE_RUN, total=None if again else total, done=done, now=now)


def _running_losses(run: Run) -> Step | None:
    return run.steps.filter(state=StepState.RUNNING, task__in=GO_THROUGH_EVENTS).first()


def _note(run: Run, key: str, *, total: int | None, done: int | None, now: datetime) -> None:
    """Keep a report with a run, whose row the caller holds, and show it."""
    reported = run.plan.get(progress.REPORTED, {})
    before = reported.get(key, {}) if total is None else {"events_total": total}
    if "events_total" not in before:
        return  # So many more of nobody knows how many: nothing that could be shown.
    events_done = min(before.get("events_done", 0) + (done or 0), before["events_total"])
    run.plan = {**run.plan, progress.REPORTED: {**reported, key: {**before, "events_done": events_done}}}
    run.save(update_fields=["plan"])
    progress.show(run, now=now)
