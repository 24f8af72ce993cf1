"""The roles of the server: each a function that runs until it is told to stop."""

import argparse
import os
import sys
from collections.abc import Sequence

import django

from qanat import logs
from qanat.configuration.report import log_at_start
from qanat.configuration.sources import BadSettings, Sources
from qanat.server.counting.shared import sharing

ROLES = ("api", "websocket", "monitor", "task-controller", "beat", "migrate", "embedded")


def main(arguments: Sequence[str]) -> int:
    """Run a role; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m qanat.server", description=__doc__)
    parser.add_argument("role", choices=ROLES)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; of roles without HTTP, for QANAT_PROBE_PORT"
    )
    parser.add_argument("--port", type=int, default=8000, help="port of the API")
    parser.add_argument("--websocket-port", type=int, default=8001, help="port of the websocket server")
    parser.add_argument("--report", help="file to write to once the server listens (embedded)")
    parser.add_argument("--parent-fd", type=int, help="pipe that closes when the parent is gone (embedded)")
    options = parser.parse_args(arguments)
    with sharing():
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "qanat.server.config.settings")
    try:
        django.setup()
    except BadSettings as error:
        print(error, file=sys.stderr)  # noqa: T201 - a sentence for whoever starts it
        return 2
    logs.catch_the_rest()
    logs.process_is(options.role)
    log_at_start(Sources.read(os.environ))
    from qanat.server.roles import embedded, single  # noqa: PLC0415 - need Django

    if options.role == "embedded":
        return embedded.run(
            host=options.host,
            port=options.port,
            websocket_port=options.websocket_port,
            report=options.report,
            parent_fd=options.parent_fd,
        )
    return single.run(options.role, host=options.host, port=options.port, websocket_port=options.websocket_port)
