"""Celery's queues as every process declares them, and how long each waits for a broker that is away.

RabbitMQ turns away whoever declares a queue otherwise than the first.
"""

from typing import Any, Final

from celery.app.amqp import AMQP
from celery.app.amqp import Queues as CeleryQueues
from kombu import Connection as KombuConnection
from kombu import Exchange, Queue

from qanat.contract.queues import arguments

PAUSES: Final[dict[str, int]] = {"interval_start": 1, "interval_step": 0, "interval_max": 1}
"""In seconds."""


class Queues(CeleryQueues):
    """Queues that come into being when they are named."""

    def new_missing(self, name: str) -> Queue:
        """Return a queue with an exchange of its own, as Celery does, and the arguments that its name stands for."""
        return Queue(name, Exchange(name), routing_key=name, queue_arguments=arguments(name))


class Connection(KombuConnection):
    """A connection to a broker that is looked for each second while it is away.

    Celery has consumers look ever more rarely, half a minute apart in the end, and runs stand still for so long after
    the broker is back.
    """

    def ensure_connection(self, *given: Any, **named: Any) -> KombuConnection:  # type: ignore[override]  # noqa: ANN401
        """Connect, as kombu does but for the pauses."""
        return super().ensure_connection(*given, **{**PAUSES, **named})


class Amqp(AMQP):
    """What Celery apps of ours take for ``amqp``."""

    queues_cls = Queues
    Connection = Connection
