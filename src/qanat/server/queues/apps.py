"""Django's handle on the queues."""

from django.apps import AppConfig


class QueuesConfig(AppConfig):
    """Beat's ticks, and what wakes the listeners of a PostgreSQL server."""

    name = "qanat.server.queues"
    label = "queues"
