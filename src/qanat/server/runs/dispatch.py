"""The task controller's second half: ready steps are rung for, in order of priority, where somebody can take them.

Publish, then mark: a controller that dies in between repeats a doorbell and never loses one. No more doorbells are out
on a queue than it has live slots, plus one, so priorities are exact and what was not sent can still be cancelled.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q, QuerySet

from qanat.contract import tasks
from qanat.contract.statuses import RunState, StepState
from qanat.contract.tasks import StepDoorbell, WorkDoorbell
from qanat.domain.run_plan import is_for_all_cores
from qanat.domain.step_state import Event as StepEvent
from qanat.server.counting import counters
from qanat.server.runs import doorbell
from qanat.server.runs.models import Step, Worker
from qanat.server.runs.steps import move
from qanat.server.runs.stock import served
from qanat.server.runs.stock.messages import message_for

SERVER_SIDE_SLOTS = 20
"""Doorbells that may be out on a queue of the worker monitor, whose steps take milliseconds."""
WORKER_IS_GONE_AFTER = timedelta(seconds=60)
FIRST_RING_AGAIN = timedelta(seconds=2)
LAST_RING_AGAIN = timedelta(seconds=60)
FIRST_SEND_AGAIN = timedelta(minutes=1)
"""A message to a stock worker is the work itself, which would be done twice; the roll call puts this off while the
broker or a worker has the message."""
LAST_SEND_AGAIN = timedelta(hours=1)
STOCK_SLOTS = 16
"""Messages that may be out on a queue of stock workers, or more where more answer the roll call; V2's queues keep the
priorities of those that wait."""


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
    stock = served.queues()
    for step in _due(now=now):
        first, last = (
            (FIRST_SEND_AGAIN, LAST_SEND_AGAIN) if step.queue in stock else (FIRST_RING_AGAIN, LAST_RING_AGAIN)
        )
        if not _ring(step, stock=step.queue in stock):
            break  # The broker is away: the timer comes again.
        delay = min(first * 2 ** min(step.rings, 10), last)
        move(step=step, event=StepEvent.RUNG, now=now, rings=step.rings + 1, ring_at=now + delay)
        rung += 1
        if step.rings > 1:
            counters.RESENT.labels(step.queue).inc()
    return rung


def _ring(step: Step, *, stock: bool) -> bool:
    if stock:
        return doorbell.send(**message_for(step))
    task = tasks.RECORD_STEP if step.server_side else tasks.RUN_STEP
    return doorbell.ring(queue=step.queue, task=task, payload=_payload(step), priority=step.run.priority)


def _payload(step: Step) -> dict[str, object]:
    plain = StepDoorbell(step_id=step.pk, fence=step.fence)
    if step.server_side:
        return dict(plain)
    # What the host had too little memory for is tried again by itself.
    alone = step.fewer_processes or is_for_all_cores(task=step.task, count=step.count)
    return dict(WorkDoorbell(**plain, alone=alone))


def live_workers(*, now: datetime) -> QuerySet[Worker]:
    """Return the workers that live and take new steps."""
    return Worker.objects.filter(last_seen__gte=now - WORKER_IS_GONE_AFTER, draining=False)


def queue_loads(*, now: datetime) -> dict[str, QueueLoad]:
    """Return the load of every queue that has unfinished steps."""
    slots: Counter[str] = Counter()
    for worker in live_workers(now=now):
        for queue in worker.queues:
            slots[queue] += worker.slots
    for queue in served.queues():
        slots[queue] = max(slots[queue], STOCK_SLOTS)
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
