"""The table of beat's ticks."""

from django.db import models


class Tick(models.Model):
    """Beat has asked that listeners be told the state of the queues, whether or not anything has happened."""

    at = models.DateTimeField()

    def __str__(self) -> str:
        """Name the tick for logs."""
        return f"tick {self.pk} at {self.at}"
