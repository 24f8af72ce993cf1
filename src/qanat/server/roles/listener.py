"""A small HTTP server beside a role that has none, in a thread, for whoever watches over it."""

import threading

import uvicorn

from qanat.server.probes.application import Probes, only_probes
from qanat.server.roles.connections import HttpProtocol, Server


def listen(*, host: str, port: int) -> None:
    """Answer probes for as long as the process lives; it ends here where it may not have the port."""
    config = uvicorn.Config(
        Probes(only_probes),
        host=host,
        port=port,
        http=HttpProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
    )
    sockets = [config.bind_socket()]
    server = Server(config)
    threading.Thread(target=server.run, kwargs={"sockets": sockets}, name="probes", daemon=True).start()
