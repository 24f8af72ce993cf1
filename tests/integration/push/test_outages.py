"""What a websocket hears while the database is away."""

import math
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.db import OperationalError

from qanat.server.accounts.authentication import Proved
from qanat.server.realtime import queue_status
from qanat.server.realtime.application import Application
from tests.factories import make_user
from tests.integration.push.stage import PATIENCE, QUEUE_STATUS

Message = dict[str, Any]


def answers(*said: Message) -> list[Message]:
    """Return what the server says to these messages, up to the end of the connection."""

    async def talk() -> list[Message]:
        communicator: Any = ApplicationCommunicator  # untyped
        end = communicator(Application(), {"type": "websocket", "path": QUEUE_STATUS, "headers": []})
        for message in said:
            await end.send_input(message)
        heard: list[Message] = []
        while not heard or heard[-1]["type"] not in {"websocket.close", "websocket.http.response.body"}:
            heard.append(await end.receive_output(PATIENCE))
        await end.wait(PATIENCE)
        return heard

    return async_to_sync(talk)()


def _away(*_: object) -> None:
    message = "the server closed the connection unexpectedly"
    raise OperationalError(message)


def test_a_handshake_is_not_refused_as_if_its_token_were_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_status, "proved_by", _away)

    start, _ = answers({"type": "websocket.connect"})

    assert start["status"] == 503


@pytest.mark.django_db(transaction=True)
def test_a_question_ends_the_connection_with_a_word_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    proved = Proved(user=make_user(), until=math.inf)
    monkeypatch.setattr(queue_status, "proved_by", lambda _headers: proved)
    monkeypatch.setattr(queue_status, "_filtered", _away)

    heard = answers(
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": '{"type": "queue_status.filter", "content": {"analyses": [1]}}'},
    )

    assert (heard[0]["type"], heard[-1]["type"], heard[-1]["code"]) == ("websocket.accept", "websocket.close", 1013)
