"""The processes that push, as they are run, and a way to have something happen behind them.

The API and the websocket server are the real ones, on a real database. What workers and users do there is done by a
third process (``backstage``), which the tests call.
"""

import json
import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import httpx
from websockets.sync.client import ClientConnection, connect

from qanat.cli.up.platform import free_port
from tests.live_server import HOST, Live, environment, role, serving

QUEUE_STATUS = "/ws/v2/queue-status/"
PATIENCE = 30.0
"""Seconds; nothing takes that long but a test that fails."""
Given = ParamSpec("Given")
Answer = TypeVar("Answer")
Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What runs, and what a test does with it."""

    api: Live
    websocket_port: int
    websocket_pid: int
    backstage: ProcessPoolExecutor
    postgresql: bool

    def do(self, function: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs) -> Answer:
        """Have something happen in the database."""
        return self.backstage.submit(function, *args, **kwargs).result(PATIENCE)

    def connect(self, path: str = QUEUE_STATUS, *, authorization: str = "") -> ClientConnection:
        """Connect to the websocket server."""
        headers = {"Authorization": authorization} if authorization else {}
        address = f"ws://{HOST}:{self.websocket_port}{path}"
        return connect(address, additional_headers=headers, max_size=None, open_timeout=PATIENCE)

    def client(self, token: str) -> httpx.Client:
        """Return a client of the API."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.api.url, headers=headers, timeout=PATIENCE)


def heard(connection: ClientConnection) -> Json:
    """Return the next message."""
    message: Json = json.loads(connection.recv(timeout=PATIENCE))
    return message


def heard_when(connection: ClientConnection, holds: Callable[[Json], bool]) -> Json:
    """Return the first of the next messages of which something holds."""
    while True:
        message = heard(connection)
        if holds(message):
            return message


def analyses_in(message: Json) -> dict[int, Json]:
    """Return the analyses of a message by their id."""
    return {entry["analysis"]["id"]: entry["analysis"] for each in message["content"] for entry in each["analyses"]}


def queues_in(message: Json) -> dict[str, Json]:
    """Return the entries of a message by the name of their queue."""
    return {each["queue"]["name"]: each for each in message["content"]}


@contextmanager
def staged(data_dir: Path, settings: Mapping[str, str]) -> Iterator[Stage]:
    """Run everything."""
    told = environment(data_dir, settings)
    port = free_port(HOST)

    def listens() -> bool:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return True
        return False

    spawn = multiprocessing.get_context("spawn")
    with (
        serving(data_dir, settings) as api,
        role(
            "websocket",
            log=data_dir / "websocket.log",
            environment=told,
            options=["--websocket-port", str(port)],
            ready=listens,
        ) as pid,
        ProcessPoolExecutor(1, mp_context=spawn, initializer=_open_backstage, initargs=(told,)) as backstage,
    ):
        yield Stage(
            api=api,
            websocket_port=port,
            websocket_pid=pid,
            backstage=backstage,
            postgresql=bool(settings.get("QANAT_DATABASE_URL")),
        )


def _open_backstage(told: dict[str, str]) -> None:
    """Make this process one that knows the database."""
    os.environ.clear()
    os.environ.update(told)
    import django  # noqa: PLC0415 - after its settings are known

    django.setup()
    from qanat.server.runs import doorbell  # noqa: PLC0415 - needs Django
    from tests.integration.push import backstage  # noqa: PLC0415 - needs Django

    doorbell.ring = backstage.workers.ring
