"""What a client may cost that does not take what it is sent, and whom a server that stops still answers."""

import asyncio
import socket
from collections.abc import Callable, Iterable
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn._types import ASGISendCallable, Scope

from qanat.server.realtime.answers import Answer, Send
from qanat.server.roles import bridge, connections
from qanat.server.roles.bridge import Bridge, Environ
from qanat.server.roles.connections import HttpProtocol, Server, State

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

    listening = await asyncio.get_running_loop().create_server(lambda: Protocol(config, State(), {}), "127.0.0.1", 0)
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


async def hello(scope: Scope, _receive: object, send: ASGISendCallable) -> None:
    """Answer with the path."""
    path = scope["path"].encode()  # type: ignore[typeddict-item] # of HTTP
    headers = [(b"content-length", str(len(path)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": path, "more_body": False})


def asked(client: socket.socket, path: str) -> tuple[int, str | None, bytes]:
    """Return status, ``Connection`` and content of the answer to a request."""
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
    answer = HTTPResponse(client)
    answer.begin()
    return answer.status, answer.getheader("Connection"), answer.read()


async def told_to_stop(how: str, *, asks: bool) -> tuple[tuple[int, str | None, bytes] | None, bytes]:
    """Return the answer that a client has of a server that was told to stop just before, and what it hears then.

    Args:
        how: the client's connection "waits" to be let in, "is new", or "was used" for a request before.
        asks: the client asks for something now.
    """
    made = asyncio.Event()

    class Protocol(HttpProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
            super().connection_made(transport)
            made.set()

    config = uvicorn.Config(
        hello, host="127.0.0.1", port=0, http=Protocol, lifespan="off", log_config=None, access_log=False
    )
    config.load()
    server, listener = Server(config), config.bind_socket()
    server.lifespan = config.lifespan_class(config)
    await server.startup([listener])
    async with asyncio.timeout(PATIENCE):
        with socket.create_connection(listener.getsockname(), timeout=PATIENCE) as client:
            if how != "waits":
                await made.wait()
            if how == "was used":
                assert await asyncio.to_thread(asked, client, "/first") == (200, None, b"/first")
            stopping = asyncio.create_task(server.shutdown([listener]))
            await asyncio.sleep(0)
            assert listener.fileno() == -1
            answer = await asyncio.to_thread(asked, client, "/last") if asks else None
            rest = await asyncio.to_thread(client.recv, 2**16)
            await stopping
    return answer, rest


@pytest.mark.parametrize("how", ["waits", "is new", "was used"])
def test_who_has_a_connection_to_a_server_that_stops_has_one_more_answer(how: str) -> None:
    assert asyncio.run(told_to_stop(how, asks=True)) == ((200, "close", b"/last"), b"")


@pytest.mark.parametrize("how", ["waits", "is new", "was used"])
def test_a_server_that_stops_does_not_wait_long_for_who_asks_nothing(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LAST_REQUEST_SECONDS", 0.1)

    assert asyncio.run(told_to_stop(how, asks=False)) == (None, b"")
