"""The task controller's second half: ready steps are rung for, in order of priority, where somebody can take them.

Publish, then mark: a controller that dies in between repeats a doorbell and never loses one. No more doorbells are out
on a queue than it has live slots, plus one, so priorities are exact and what was not sent can still be cancelled.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q

from qanat.contract import tasks
from qanat.contract.statuses import RunState, StepState
from qanat.contract.tasks import StepDoorbell, WorkDoorbell
from qanat.domain.run_plan import is_for_all_cores
from qanat.domain.step_state import Event as StepEvent
from qanat.server.runs import doorbell
from qanat.server.runs.models import Step, Worker
from qanat.server.runs.steps import move

SERVER_SIDE_SLOTS = 20
"""Doorbells that may be out on a queue of the worker monitor, whose steps take milliseconds."""
WORKER_IS_GONE_AFTER = timedelta(seconds=60)
FIRST_RING_AGAIN = timedelta(seconds=2)
LAST_RING_AGAIN = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class QueueLoad:
    """What is out on a queue: live slots of its workers, doorbells sent and steps running."""

    slots: int
    sent: int
    running: int

    @property
    def room(self) -> int:
        """How many more doorbells may go out."""
        return max(0, self.slots + 1 - self.sent - self.running)

    @property
    def idle(self) -> bool:
        """Whether somebody could take a step now; a queue without workers counts, for they may be starting."""
        return self.slots == 0 or self.running < self.slots


def dispatch(*, now: datetime) -> int:
    """Ring for the steps that are ready and for those whose doorbell seems lost; return how many rings went out."""
    rung = 0
    for step in _due(now=now):
        doorbell_task = tasks.RECORD_STEP if step.server_side else tasks.RUN_STEP
        if not doorbell.ring(queue=step.queue, task=doorbell_task, payload=_payload(step), priority=step.run.priority):
            break  # The broker is away: the timer comes again.
        delay = min(FIRST_RING_AGAIN * 2 ** min(step.rings, 10), LAST_RING_AGAIN)
        move(step=step, event=StepEvent.RUNG, now=now, rings=step.rings + 1, ring_at=now + delay)
        rung += 1
    return rung


def _payload(step: Step) -> dict[str, object]:
    plain = StepDoorbell(step_id=step.pk, fence=step.fence)
    if step.server_side:
        return dict(plain)
    # What the host had too little memory for is tried again by itself.
    alone = step.fewer_processes or is_for_all_cores(task=step.task, count=step.count)
    return dict(WorkDoorbell(**plain, alone=alone))


def queue_loads(*, now: datetime) -> dict[str, QueueLoad]:
    """Return the load of every queue that has unfinished steps."""
    slots: Counter[str] = Counter()
    for worker in Worker.objects.filter(last_seen__gte=now - WORKER_IS_GONE_AFTER, draining=False):
        for queue in worker.queues:
            slots[queue] += worker.slots
    counts = (
        Step.objects.filter(state__in=(StepState.READY, StepState.SENT, StepState.RUNNING))
        .values("queue", "server_side")
        .annotate(
            sent=Count("pk", filter=Q(state=StepState.SENT)), running=Count("pk", filter=Q(state=StepState.RUNNING))
        )
        .order_by()
    )
    return {
        row["queue"]: QueueLoad(
            slots=SERVER_SIDE_SLOTS if row["server_side"] else slots[row["queue"]],
            sent=row["sent"],
            running=row["running"],
        )
        for row in counts
    }


def _due(*, now: datetime) -> list[Step]:
    """Return what to ring for: overdue doorbells on queues where somebody is idle, then ready steps by urgency."""
    loads = queue_loads(now=now)
    if not loads:
        return []
    active = Step.objects.filter(run__state=RunState.ACTIVE).select_related("run")
    overdue = active.filter(state=StepState.SENT, ring_at__lte=now).order_by("ring_at")
    due = [step for step in overdue[:1000] if loads[step.queue].idle]
    room = {queue: load.room for queue, load in loads.items()}
    for queue, free in room.items():
        if free:
            ready = active.filter(state=StepState.READY, queue=queue).filter(
                Q(not_before__isnull=True) | Q(not_before__lte=now)
            )
            due += ready.order_by("-run__priority", "run_id", "position")[:free]
    return due
