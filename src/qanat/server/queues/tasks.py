"""Celery entrances of the queues."""

from celery import shared_task

from qanat.contract import tasks
from qanat.server.queues import operations
from qanat.server.runs import clock


@shared_task(name=tasks.QUEUE_DIGEST)
def queue_digest() -> None:
    """Have all listeners told of the queues, at beat's tick."""
    operations.tick(now=clock.now())
