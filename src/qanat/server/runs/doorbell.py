"""The one door through which messages leave: after the commit, carrying ids only, and never able to fail a request.

A doorbell that cannot be delivered is logged and forgotten: the task controller's timer looks anyway. Only stock
workers get more than ids, and links that bring back what they made (``stock.messages``).
"""

import logging
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import KombuError
from kombu.exceptions import OperationalError as BrokerUnavailable

from qanat.contract import queues, tasks
from qanat.server.counting import counters

logger = logging.getLogger(__name__)

BROKER_ERRORS = (BrokerUnavailable, KombuError, OSError)


def ring(*, queue: str, task: str, payload: Mapping[str, Any], priority: int | None = None) -> bool:
    """Publish a message now and say whether the broker took it; not to be called inside a transaction."""
    return send(queue=queue, task=task, kwargs=dict(payload), priority=priority)


def send(*, queue: str, task: str, **message: Any) -> bool:  # noqa: ANN401 - what Celery's `send_task` takes
    """Publish a message with arguments and links of its own, as ``ring`` does."""
    try:
        current_app.send_task(task, queue=queue, ignore_result=True, retry=False, **message)
    except BROKER_ERRORS as error:
        logger.warning("The broker did not take %s for %s: %s", task, queue, error)
        counters.REFUSED.inc()
        return False
    return True


def revoke_after_commit(task_ids: Collection[str]) -> None:
    """Have workers that listen drop these tasks, or stop them, once the transaction has committed."""
    if task_ids:
        transaction.on_commit(partial(_revoke, list(task_ids)), robust=True)


def _revoke(task_ids: list[str]) -> None:
    try:
        current_app.control.revoke(task_ids, terminate=True, signal="SIGTERM")
    except BROKER_ERRORS as error:
        logger.warning("The broker did not take the end of %s: what they make is refused: %s", task_ids, error)


def wake_controller() -> None:
    """Ring the task controller once the transaction has committed."""
    transaction.on_commit(
        partial(ring, queue=queues.TASK_CONTROLLER, task=tasks.WAKE_CONTROLLER, payload={}), robust=True
    )
