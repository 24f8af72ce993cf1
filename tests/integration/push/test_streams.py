"""A stream on which nothing happens is kept alive."""

import asyncio
import math
from collections.abc import MutableMapping
from typing import Any

import pytest

from qanat.server.api.common.streams import EventStream
from qanat.server.realtime import events
from qanat.server.realtime.events import Streams
from qanat.server.realtime.listeners import Letter, Listener


class Quiet:
    """A watcher that has nothing to tell."""

    def join(self, listener: Listener) -> None:
        """Know the listener."""
        listener.meet(settled=7)

    def leave(self, listener: Listener) -> None:
        """Forget it."""


def test_a_stream_on_which_nothing_happens_has_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(events, "_missed", lambda **_: [Letter(text="id: 7\n\n")])
    sent: list[bytes] = []

    async def read(message: MutableMapping[str, Any]) -> None:
        sent.append(message["body"])
        if len(sent) == 4:
            raise TimeoutError  # as when a reader is gone

    streams = Streams(Quiet())  # type: ignore[arg-type] # what a stream asks of a watcher
    asyncio.run(streams.go_on(EventStream(reader=1, after=None, until=math.inf), read))

    assert sent == [b"id: 7\n\n", *[b": still here\n\n"] * 3]
