"""The event loop of our listeners does what came up meanwhile before it waits."""

import socket

import pytest
from celery import Celery

from qanat import amqp
from qanat.server.config.celery import app as server


class Poller:
    """Notes for how long the loop would wait, and whether something was still to be done then; sees no event."""

    def __init__(self) -> None:
        self.waits: list[tuple[float, list[str]]] = []
        self.to_do: list[str] = []

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        """Be asked to wait."""
        self.waits.append((timeout, list(self.to_do)))
        return []

    def register(self, *_: object) -> None:
        """Take a descriptor."""

    def unregister(self, *_: object) -> None:
        """Let go of a descriptor."""

    def close(self) -> None:
        """End."""


def test_what_an_answer_has_brought_up_is_done_before_the_loop_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the message that follows arrives while one is answered."""
    hub, poller = amqp.Hub(), Poller()
    monkeypatch.setattr(hub, "poller", poller)
    ours, theirs = socket.socketpair()
    hub.add_reader(ours, lambda: None)
    hub.call_repeatedly(60, lambda: None)  # as the heartbeat's

    def read_next() -> None:
        poller.to_do.append("answer")
        hub.call_soon(lambda: poller.to_do.remove("answer"))

    hub.call_soon(read_next)
    loop = hub.create_loop()
    for _ in range(3):
        next(loop)
    hub.close()
    ours.close()
    theirs.close()
    assert poller.waits[0] == (0.0, ["answer"])
    assert all(wait > 0 and not to_do for wait, to_do in poller.waits[1:]), poller.waits


@pytest.mark.parametrize("app", [server, Celery("another", amqp="qanat.amqp:Amqp", set_as_current=False)])
def test_listeners_have_that_loop(app: Celery) -> None:
    """Celery asks the connection which one it needs."""
    connection = app.connection_for_read("amqp://nowhere")
    assert isinstance(connection, amqp.Connection)
    assert connection.requires_hub is amqp.Hub
