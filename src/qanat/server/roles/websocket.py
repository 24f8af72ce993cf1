"""The websocket server: uvicorn, with bounds on what a connection may cost."""

from typing import TYPE_CHECKING, Final

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from qanat.server.config.asgi import application

if TYPE_CHECKING:
    import asyncio

LONGEST_MESSAGE: Final = 2**18
"""Bytes that a client may send at once."""
CLOSE_SECONDS: Final = 10.0
STOP_SECONDS: Final = 5


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's, which would keep what a client that is gone does not take for as long as the network lets it."""

    def on_task_complete(self, task: "asyncio.Task[None]") -> None:
        """Give up what has not been taken some time after the end of the conversation."""
        super().on_task_complete(task)
        self.loop.call_later(CLOSE_SECONDS, self.transport.abort)


def serve(*, host: str, port: int) -> None:
    """Serve websockets until told to stop.

    Messages go out as they are: compressing would cost each listener what is made once for all.
    """
    uvicorn.run(
        application,
        host=host,
        port=port,
        ws=WebSocketProtocol,
        ws_max_size=LONGEST_MESSAGE,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        log_level="warning",  # kernels make a connection for each message
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
