"""Celery's queues as every process declares them: RabbitMQ turns away whoever declares one otherwise than the first."""

from celery.app.amqp import AMQP
from celery.app.amqp import Queues as CeleryQueues
from kombu import Exchange, Queue

from qanat.contract.queues import arguments


class Queues(CeleryQueues):
    """Queues that come into being when they are named."""

    def new_missing(self, name: str) -> Queue:
        """Return a queue with an exchange of its own, as Celery does, and the arguments that its name stands for."""
        return Queue(name, Exchange(name), routing_key=name, queue_arguments=arguments(name))


class Amqp(AMQP):
    """What Celery apps of ours take for ``amqp``."""

    queues_cls = Queues
