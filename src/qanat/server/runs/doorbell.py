"""The one door through which messages leave: after the commit, carrying ids only, and never able to fail a request.

A doorbell that cannot be delivered is logged and forgotten: the task controller's timer looks anyway.
"""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import KombuError
from kombu.exceptions import OperationalError as BrokerUnavailable

from qanat.contract import queues, tasks

logger = logging.getLogger(__name__)

BROKER_ERRORS = (BrokerUnavailable, KombuError, OSError)


def ring(*, queue: str, task: str, payload: Mapping[str, Any], priority: int | None = None) -> bool:
    """Publish a message now and say whether the broker took it; not to be called inside a transaction."""
    try:
        current_app.send_task(
            task, kwargs=dict(payload), queue=queue, priority=priority, ignore_result=True, retry=False
        )
    except BROKER_ERRORS as error:
        logger.warning("The broker did not take %s for %s: %s", task, queue, error)
        return False
    return True


def wake_controller() -> None:
    """Ring the task controller once the transaction has committed."""
    transaction.on_commit(
        partial(ring, queue=queues.TASK_CONTROLLER, task=tasks.WAKE_CONTROLLER, payload={}), robust=True
    )
