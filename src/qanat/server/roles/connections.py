"""uvicorn's server and protocols, with bounds on what a client may cost that sends without end or takes nothing.

A server that stops answers whoever was let in before.
"""

import asyncio
import contextlib
import ctypes
import os
import resource
import socket
from typing import Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

LONGEST_HEADING: Final = 2**16
"""Request line and headers."""
CLOSE_SECONDS: Final = 10.0
HANG_UP: Final = "qanat.hang_up"
"""ASGI extension: a function that ends the connection, and drops what the client has not taken."""
ABNORMAL: Final = 1006
"""For the application only: the connection is gone, and nothing was said."""
LIBRARY: Final = ctypes.PyDLL(None)
LAST_REQUEST_SECONDS: Final = 1.0
"""How long a server that is about to stop waits for a request on a connection where none is under way."""


class State(ServerState):
    """What a server and its connections know of each other."""

    stopping = False


class Server(uvicorn.Server):
    """A server that stops when those whom it has let in have their answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        """Serve what the configuration says."""
        super().__init__(config)
        self.server_state: State = State()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop.

        Args:
            sockets: on which it listens. Clients that wait there have a connection, as far as they know; to close a
                socket would reset theirs.
        """
        self.server_state.stopping = True
        loop = asyncio.get_running_loop()
        late = [
            loop.create_task(loop.connect_accepted_socket(self._protocol, connection))
            for listener in sockets or ()
            for connection in _last_of(listener)
        ]
        await super().shutdown(sockets)
        await asyncio.gather(*late, return_exceptions=True)

    def _protocol(self) -> asyncio.Protocol:
        return HttpProtocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


def _last_of(listener: socket.socket) -> list[socket.socket]:
    """Let in all who wait, and nobody else from now on; the file of the socket is then another, that is nothing.

    Between the last accept and the close each new connection is one that is reset. These are two calls of the C library
    on which no other thread gets its turn: the socket module's would let any compute for a while in between.
    """
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - an open file's number is all that is wanted
        accept, replace = LIBRARY.accept, LIBRARY.dup2
        accepted = list(iter(lambda: accept(listener.fileno(), None, None), -1))
        replace(nothing.fileno(), listener.fileno())
    return [socket.socket(fileno=number) for number in accepted]


class HttpProtocol(HttpToolsProtocol):
    """HTTP, with an end to how long the headers of a request may be."""

    server_state: State
    heading = 0
    in_heading = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Begin; where the server stops already, for one request only."""
        super().connection_made(transport)
        if self.server_state.stopping:
            self.shutdown()

    def shutdown(self) -> None:
        """Answer what is under way or still comes soon, and be done.

        uvicorn would close a connection that a client has just made, with the request that is on its way.
        """
        if self._is_idle():
            self.loop.call_later(LAST_REQUEST_SECONDS, self._wait_no_longer)
        else:
            super().shutdown()

    def _wait_no_longer(self) -> None:
        if self in self.connections and self._is_idle():
            super().shutdown()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr] # not before a request

    def data_received(self, data: bytes) -> None:
        """Take data; hang up on whoever sends headers without end."""
        super().data_received(data)
        if self.in_heading:
            self.heading += len(data)
            if self.heading > LONGEST_HEADING:
                self.transport.close()

    def on_message_begin(self) -> None:
        """Begin to count."""
        self.heading, self.in_heading = 0, True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop counting, and let the application hang up."""
        self.in_heading = False
        self.scope["extensions"] = {HANG_UP: self.transport.abort}  # type: ignore[dict-item] # ours
        super().on_headers_complete()
        if self.server_state.stopping:
            self.shutdown()


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Websockets, with an end to how long a connection outlives its conversation."""

    broken = False

    def data_received(self, data: bytes) -> None:
        """Take data, but for those of a client that has broken the protocol."""
        if not self.broken:
            super().data_received(data)

    def handle_parser_exception(self) -> None:
        """Say what was wrong with what the client sent, and drop what it still sends.

        To close a connection on which something has not been read resets it, and the client may never hear why.
        """
        said = self.conn.close_sent
        code, reason = (ABNORMAL, "") if said is None else (said.code, said.reason)
        self.broken = self.close_sent = self.disconnected = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.write_eof()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)

    def keepalive_timeout(self) -> None:
        """Give up a client that gives no sign of life; the application hears of it when it says something."""
        super().keepalive_timeout()
        self.disconnected = True

    def on_task_complete(self, task: "asyncio.Task[None]") -> None:
        """Give up what has not been taken some time after the end of the conversation.

        uvicorn would keep it for as long as the network lets it.
        """
        super().on_task_complete(task)
        self.loop.call_later(CLOSE_SECONDS, self.transport.abort)


def use_all_descriptors() -> None:
    """Raise the limit of open files as far as one may: each client takes one, each download two."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
