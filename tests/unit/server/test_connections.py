"""What a client may cost that does not take what it is sent, on the real protocol."""

import asyncio
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from qanat.server.realtime.answers import Answer, Send
from qanat.server.roles import bridge
from qanat.server.roles.bridge import Bridge, Environ
from qanat.server.roles.connections import HttpProtocol

PATIENCE = 30.0
PIECE = bytes(2**16)


class Doorkeeper:
    """Lets everybody in."""

    def is_urgent(self, environ: Environ) -> bool:
        return False

    def longest_body(self, environ: Environ) -> int:
        return 0

    def refusal(self, environ: Environ) -> Answer | None:
        return None


def begin(environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the beginning of a stream."""
    start("200 OK", [])
    return [b"begun"]


async def flood(send: Send) -> None:
    """Send until the client takes nothing more, and then give up."""
    try:
        while True:
            await asyncio.wait_for(send({"type": "http.response.body", "body": PIECE, "more_body": True}), 0.2)
    except TimeoutError:
        return


async def served_and_done_with(application: Bridge) -> socket.socket:
    """Return the connection of a client that does not read, once the server has closed it."""
    config = uvicorn.Config(application, lifespan="off", log_config=None, access_log=False)
    config.load()
    lost = asyncio.Event()

    class Protocol(HttpProtocol):
        def connection_lost(self, error: Exception | None) -> None:
            super().connection_lost(error)
            lost.set()

    listening = await asyncio.get_running_loop().create_server(
        lambda: Protocol(config, ServerState(), {}), "127.0.0.1", 0
    )
    async with listening, asyncio.timeout(PATIENCE):
        client = socket.create_connection(listening.sockets[0].getsockname())
        client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        await lost.wait()
    return client


def test_a_stream_that_is_not_taken_ends_with_its_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "CLOSE_SECONDS", 0.2)
    application = Bridge(begin, Doorkeeper(), folder=tmp_path, rest_of=lambda _answer: flood)

    with asyncio.run(served_and_done_with(application)) as client:
        received = b"".join(iter(lambda: client.recv(2**20), b""))

    assert b"begun" in received
    assert not received.endswith(b"0\r\n\r\n")  # as an answer that is whole would
