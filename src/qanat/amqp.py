"""How every process speaks to the broker: the queues as all declare them, how it listens, and how soon it misses one.

RabbitMQ turns away whoever declares a queue otherwise than the first.
"""

from typing import Any, Final

from celery.app.amqp import AMQP
from celery.app.amqp import Queues as CeleryQueues
from kombu import Connection as KombuConnection
from kombu import Exchange, Queue
from kombu.asynchronous import Hub as KombuHub

from qanat.contract.queues import arguments

LONGEST_PAUSE_SECONDS: Final = 5.0
CONNECTIONS: Final[dict[str, Any]] = {
    # Both ends miss the other after twice this. A consumer that waits sends nothing, so only this tells it that the
    # network has swallowed its broker; and the broker gives its unanswered messages to others. Celery's two minutes
    # are longer than a lease.
    "broker_heartbeat": 10,
    # A broker may be away for an hour; Celery would end the process after a hundred tries.
    "broker_connection_max_retries": None,
    "broker_connection_retry_on_startup": True,
}
"""Settings of all Celery apps."""
SILENCE_SECONDS: Final = 5
"""How long to wait for an answer of RabbitMQ: one that is short of memory or disk takes messages and says nothing."""


def transport_options(broker: str) -> dict[str, Any]:
    """Return how a process is to speak to the broker at this address: RabbitMQ says that it has a message."""
    if not broker.startswith("amqp"):
        return {}
    return {"confirm_publish": True, "read_timeout": SILENCE_SECONDS, "write_timeout": SILENCE_SECONDS}


class Hub(KombuHub):
    """The event loop of a listener, which leaves nothing undone while it waits.

    kombu's does what is due and then waits for the socket, or a timer, even where doing it made more due
    (https://github.com/celery/kombu/pull/1587). A message that comes while another is answered is then answered itself
    when the next heartbeat is looked after, seconds later, and RabbitMQ sends no further one before that.
    """

    _more = False

    def call_soon(self, callback: Any, *args: Any) -> Any:  # noqa: ANN401 - handed on
        """Have something done in the next round, which then does not wait."""
        self._more = True
        return super().call_soon(callback, *args)

    def fire_timers(self, *args: Any, **options: Any) -> float:  # noqa: ANN401 - handed on
        """Do what timers have due, and return for how many seconds the loop may wait."""
        wait = super().fire_timers(*args, **options)
        more, self._more = self._more, False
        return 0.0 if more else wait


class Connection(KombuConnection):
    """A connection that is tried for at least every few seconds: by itself kombu waits up to half a minute."""

    requires_hub = Hub
    """Celery makes a worker's event loop of this."""

    def ensure_connection(self, *args: Any, **options: Any) -> KombuConnection:  # type: ignore[override]  # noqa: ANN401 - handed on
        """Connect, as kombu does."""
        return super().ensure_connection(*args, **{"interval_max": LONGEST_PAUSE_SECONDS, **options})


class Queues(CeleryQueues):
    """Queues that come into being when they are named."""

    def new_missing(self, name: str) -> Queue:
        """Return a queue with an exchange of its own, as Celery does, and the arguments that its name stands for."""
        return Queue(name, Exchange(name), routing_key=name, queue_arguments=arguments(name))


class Amqp(AMQP):
    """What Celery apps of ours take for ``amqp``."""

    Connection = Connection
    queues_cls = Queues
