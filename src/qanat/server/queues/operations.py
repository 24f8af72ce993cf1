"""Writes: the tick at which listeners are told of the queues."""

from datetime import datetime

from django.db import transaction

from qanat.server.queues.models import Tick


def tick(*, now: datetime) -> None:
    """Have all listeners told of the queues; the ticks before are forgotten."""
    with transaction.atomic():
        latest = Tick.objects.create(at=now)
        Tick.objects.filter(pk__lt=latest.pk).delete()
