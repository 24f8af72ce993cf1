"""Celery entrances of the engine: what the task controller and the worker monitor do when a doorbell rings."""

import os
import socket
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.db import OperationalError

from qanat.contract import tasks
from qanat.server.runs import clock, controller, housekeeping, recording

RECORDER = f"monitor-{socket.gethostname()}-{os.getpid()}"


@shared_task(name=tasks.WAKE_CONTROLLER)
def wake_controller() -> None:
    """Let the task controller of this process look at once."""
    controller.wake()


@shared_task(name=tasks.RECORD_STEP, autoretry_for=(OperationalError,), max_retries=3)
def record_step(*, step_id: int, fence: int) -> None:
    """Record the results of a phase; when the database is away, the doorbell rings again by itself."""
    lease = timedelta(seconds=settings.QANAT.lease_seconds)
    recording.record(step_id=step_id, fence=fence, recorder=RECORDER, lease=lease, now=clock.now())


@shared_task(name=tasks.HOUSEKEEPING)
def tidy() -> None:
    """Tidy up, at beat's tick."""
    housekeeping.tidy(now=clock.now())


@shared_task(name=tasks.DISCARD_UNFINISHED)
def discard_unfinished() -> None:
    """Free what killed uploads have left, at beat's slower tick."""
    housekeeping.discard_unfinished_uploads(now=clock.now())
