"""The websocket server: uvicorn, with bounds on what a connection may cost."""

import signal
import sys
from typing import Final

import uvicorn

from qanat.server.config.asgi import application
from qanat.server.roles.connections import HttpProtocol, Server, WebSocketProtocol, use_all_descriptors

LONGEST_MESSAGE: Final = 2**18
"""Bytes that a client may send at once."""
STOP_SECONDS: Final = 5


def serve(*, host: str, port: int) -> None:
    """Serve websockets until told to stop.

    Messages go out as they are: compressing would cost each listener what is made once for all.
    """
    use_all_descriptors()
    # uvicorn raises it once more when it has stopped; what this process leaves behind is then still to be removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        http=HttpProtocol,
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
    Server(config).run(sockets=[config.bind_socket()])
