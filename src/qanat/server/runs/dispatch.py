"""The task controller's second half: ready steps are rung for, in order of priority, where somebody can take them.

Publish, then mark: a controller that dies in between repeats a doorbell and never loses one. No more doorbells are out
on a queue than it has live slots, plus one, so priorities are exact and what was not sent can still be cancelled.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Count, Q, QuerySet

from qanat.contract import queues, tasks
from qanat.contract.statuses import RunState, StepState
from qanat.contract.tasks import StepDoorbell, WorkDoorbell
from qanat.domain.run_plan import is_for_all_cores
from qanat.domain.step_state import Event as StepEvent
from qanat.server.counting import counters
from qanat.server.runs import doorbell
from qanat.server.runs.models import Step, Worker
from qanat.server.runs.steps import move_idle
from qanat.server.runs.stock import served
from qanat.server.runs.stock.messages import message_for

SERVER_SIDE_QUEUES = (queues.V1_RECORDS, queues.V2_RECORDS)
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
MOST_OVERDUE = 1000
OF_A_DOORBELL = (
    *("run_id", "queue", "priority", "state", "fence", "rings"),
    *("task", "count", "server_side", "fewer_processes"),
)
"""What is read of a step that is rung for."""
# PostgreSQL and SQLite both read the whole index for DISTINCT; this jumps from name to name.
NEXT_QUEUE = """
    WITH RECURSIVE found(queue) AS (
        SELECT min(queue) FROM runs_step WHERE state = %(ready)s
        UNION ALL
        SELECT (SELECT min(queue) FROM runs_step WHERE state = %(ready)s AND queue > found.queue)
        FROM found WHERE found.queue IS NOT NULL
    )
    SELECT queue FROM found WHERE queue IS NOT NULL
"""


@dataclass(frozen=True, kw_only=True)
class QueueLoad:
    """What is out on a queue: live slots of its workers, doorbells sent and steps running."""

    slots: int
    sent: int
    running: int
    overdue: int
    """Of the doorbells, those that should have been answered by now."""

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
    stock = served.queues()
    rung = []
    for step in _due(now=now, stock=stock):
        if not _ring(step, stock=step.queue in stock):
            break  # The broker is away: the timer comes again.
        rung.append(step)
    _mark(rung, stock=stock, now=now)
    return len(rung)


def _mark(rung: list[Step], *, stock: set[str], now: datetime) -> None:
    """Note that doorbells are out; whoever has answered one already, or is about to, is not waited for."""
    alike: dict[tuple[str, int, bool], list[Step]] = defaultdict(list)
    for step in rung:
        alike[step.state, step.rings, step.queue in stock].append(step)
    for (_, rings, to_stock), steps in alike.items():
        first, last = (FIRST_SEND_AGAIN, LAST_SEND_AGAIN) if to_stock else (FIRST_RING_AGAIN, LAST_RING_AGAIN)
        delay = min(first * 2 ** min(rings, 10), last)
        move_idle(steps=steps, event=StepEvent.RUNG, now=now, rings=rings + 1, ring_at=now + delay)
        if rings:
            for step in steps:
                counters.RESENT.labels(step.queue).inc()


def _ring(step: Step, *, stock: bool) -> bool:
    if stock:
        return doorbell.send(**message_for(step))
    task = tasks.RECORD_STEP if step.server_side else tasks.RUN_STEP
    return doorbell.ring(queue=step.queue, task=task, payload=_payload(step), priority=step.priority)


def _payload(step: Step) -> dict[str, object]:
    plain = StepDoorbell(step_id=step.pk, fence=step.fence)
    if step.server_side:
        return dict(plain)
    # What the host had too little memory for is tried again by itself.
    alone = step.fewer_processes or is_for_all_cores(task=step.task, count=step.count)
    return dict(WorkDoorbell(**plain, alone=alone))


def lives(*, now: datetime) -> Q:
    """Return the condition that a worker lives and takes new steps."""
    return Q(last_seen__gte=now - WORKER_IS_GONE_AFTER, draining=False)


def live_workers(*, now: datetime) -> QuerySet[Worker]:
    """Return the workers that live and take new steps."""
    return Worker.objects.filter(lives(now=now))


def _due(*, now: datetime, stock: set[str]) -> list[Step]:
    """Return what to ring for: overdue doorbells on queues where somebody is idle, then ready steps by urgency."""
    loads = _loads(now=now, stock=stock)
    active = Step.objects.filter(run__state=RunState.ACTIVE)
    due: list[Step] = []
    idle = [queue for queue, load in loads.items() if load.overdue and load.idle]
    if idle:
        overdue = active.filter(state=StepState.SENT, ring_at__lte=now, queue__in=idle).select_related("run")
        due += overdue.order_by("ring_at")[:MOST_OVERDUE]
    ready = active.filter(Q(not_before__isnull=True) | Q(not_before__lte=now), state=StepState.READY)
    for queue in _queues_with_ready_steps():
        load = loads[queue]
        if load.room:
            columns = ready.select_related("run") if queue in stock else ready.only(*OF_A_DOORBELL)
            due += columns.filter(queue=queue).order_by("-priority", "run_id", "position")[: load.room]
    return due


def _loads(*, now: datetime, stock: set[str]) -> Mapping[str, QueueLoad]:
    """Return the load of every queue; only what is out or running is looked at, however much waits."""
    slots: Counter[str] = Counter()
    for names, number in live_workers(now=now).values_list("queues", "slots"):
        for queue in names:
            slots[queue] += number
    slots |= Counter(dict.fromkeys(stock, STOCK_SLOTS))
    slots.update(dict.fromkeys(SERVER_SIDE_QUEUES, SERVER_SIDE_SLOTS))
    loads: defaultdict[str, QueueLoad] = defaultdict(lambda: QueueLoad(slots=0, sent=0, running=0, overdue=0))
    loads |= {queue: QueueLoad(slots=number, sent=0, running=0, overdue=0) for queue, number in slots.items()}
    sent, running = Q(state=StepState.SENT), Q(state=StepState.RUNNING)
    counts = (
        Step.objects.filter(state__in=(StepState.SENT, StepState.RUNNING))
        .order_by()
        .values_list("queue")
        .annotate(
            sent=Count("pk", filter=sent),
            running=Count("pk", filter=running),
            overdue=Count("pk", filter=sent & Q(ring_at__lte=now)),
        )
    )
    for queue, *numbers in counts:
        loads[queue] = QueueLoad(slots=slots[queue], **dict(zip(("sent", "running", "overdue"), numbers, strict=True)))
    return loads


def _queues_with_ready_steps() -> list[str]:
    """Return their names: a look into the index for each, for there may be many more steps than queues."""
    with connection.cursor() as cursor:
        cursor.execute(NEXT_QUEUE, {"ready": StepState.READY.value})
        return [queue for (queue,) in cursor.fetchall()]
