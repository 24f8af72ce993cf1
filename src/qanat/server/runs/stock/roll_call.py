"""Stock workers send no heartbeats, so they are asked: who is there, and who has which step?

Celery's own remote control answers, from a process of the worker that runs no model. A step that somebody has, or
whose message waits in the broker, keeps its lease; one that nobody has is reaped like any other. Where no worker of a
queue answers, each is left a generous lease from its latest sign of life.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from celery import current_app
from django.db.models import Q

from qanat.contract.statuses import StepState
from qanat.server.runs import doorbell
from qanat.server.runs.models import Step, Worker
from qanat.server.runs.stock import answers, served

logger = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 1.0
PREFIX: Final = "stock:"
"""Of the names under which workers that answered are noted."""


@dataclass(frozen=True, kw_only=True)
class Roll:
    """Who answered, and what they and the broker have."""

    workers: Mapping[str, tuple[list[str], int]]
    """Queues and number of tasks at a time, by name of the worker."""
    tasks: Mapping[str, tuple[str, str]]
    """Worker and what it does with the task (``active``, ``reserved``), by id."""
    waiting: Collection[str]
    """Queues in which messages wait."""

    @property
    def served(self) -> set[str]:
        """Queues whose workers answer."""
        return {queue for queues, _ in self.workers.values() for queue in queues}


def call_roll(*, lease: timedelta, now: datetime) -> int:
    """Ask, and keep the leases of what is in good hands; return how many steps are under way at stock workers.

    Args:
        lease: how long a step is left to a worker that answers.
        now: the database's time.
    """
    queues = served.queues()
    if not queues:
        return 0
    under_way = list(Step.objects.filter(state__in=(StepState.SENT, StepState.RUNNING), queue__in=queues))
    try:
        roll = _ask(queues, [step.celery_id for step in under_way])
    except doorbell.BROKER_ERRORS as error:
        logger.warning("Stock workers cannot be asked, and keep what they have: %s", error)
        for step in under_way:
            _keep(step, until=now + lease)
        return len(under_way)
    for name, (consumed, slots) in roll.workers.items():
        found = {"queues": consumed, "slots": slots, "draining": False, "last_seen": now}
        Worker.objects.update_or_create(pk=f"{PREFIX}{name}", defaults=found)
    for step in under_way:
        worker, doing = roll.tasks.get(step.celery_id, ("", ""))
        if doing == "active":
            answers.answered(task_id=step.celery_id, worker=worker, lease=lease, now=now)
        elif doing or step.queue in roll.waiting:
            _keep(step, until=now + lease)
        elif step.queue in roll.served:
            _doubt(step, until=now + lease)
    return len(under_way)


def _keep(step: Step, *, until: datetime) -> None:
    """Neither reap the step before then, nor ring for it again."""
    mine = Step.objects.filter(pk=step.pk, fence=step.fence)
    mine.filter(Q(lease_until__lt=until), state=StepState.RUNNING).update(lease_until=until)
    mine.filter(Q(ring_at__lt=until), state=StepState.SENT).update(ring_at=until)


def _doubt(step: Step, *, until: datetime) -> None:
    """Leave a step no longer than until then to a worker that does not answer where others of its queue do."""
    mine = Step.objects.filter(pk=step.pk, fence=step.fence, state=StepState.RUNNING)
    mine.filter(lease_until__gt=until).update(lease_until=until)


def _ask(queues: Collection[str], task_ids: list[str]) -> Roll:
    with current_app.connection_for_write() as connection:
        # The first use decides whether the broker is there; nothing waits for it for ever.
        connection.ensure_connection(max_retries=1, timeout=1)
        control = current_app.control.inspect(timeout=ANSWER_SECONDS, connection=connection)
        consumed: dict[str, Any] = control.active_queues() or {}
        stats: dict[str, Any] = control.stats() or {} if consumed else {}
        held: dict[str, Any] = control.query_task(*task_ids) or {} if consumed and task_ids else {}
        waiting = [queue for queue in queues if _messages(connection, queue)]
    return Roll(
        workers={
            name: (
                [queue["name"] for queue in consumed[name] or ()],
                int((stats.get(name) or {}).get("pool", {}).get("max-concurrency") or 1),
            )
            for name in consumed
        },
        tasks={
            task_id: (name, str(state[0])) for name, found in held.items() for task_id, state in (found or {}).items()
        },
        waiting=waiting,
    )


def _messages(connection: Any, queue: str) -> int:  # noqa: ANN401 - kombu's
    """Return how many messages wait in a queue, none where there is no such queue."""
    try:
        with connection.channel() as channel:
            return int(channel.queue_declare(queue=queue, passive=True).message_count)
    except connection.channel_errors:
        return 0
