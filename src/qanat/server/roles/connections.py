"""uvicorn's protocols, with bounds on what a client may cost that sends without end or takes nothing."""

import contextlib
import resource
from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    import asyncio

LONGEST_HEADING: Final = 2**16
"""Request line and headers."""
CLOSE_SECONDS: Final = 10.0
HANG_UP: Final = "qanat.hang_up"
"""ASGI extension: a function that ends the connection, and drops what the client has not taken."""
ABNORMAL: Final = 1006
"""For the application only: the connection is gone, and nothing was said."""


class HttpProtocol(HttpToolsProtocol):
    """HTTP, with an end to how long the headers of a request may be."""

    heading = 0
    in_heading = True

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
