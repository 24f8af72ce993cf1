"""``/livez``, ``/readyz`` and ``/metrics``, answered before the application that a process serves.

So they are the same in every process, at the root whatever else is routed, under any name of the host; and one that is
busy answers them, for they have threads of their own.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar

from django.conf import settings
from django.db import Error as DatabaseError
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from qanat.server.counting import counters
from qanat.server.probes import gauges, readers
from qanat.server.probes.gauges import Reading
from qanat.server.probes.readiness import AWAY, Readiness
from qanat.server.queues.queries import tick_age
from qanat.server.realtime.answers import Answer, Send, send_answer
from qanat.server.realtime.database import Database
from qanat.server.runs import clock
from qanat.server.runs.figures import figures

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]
Found = TypeVar("Found")

PATIENCE_SECONDS: Final = 3.0
"""A database that takes longer is taken to be away."""
FINE: Final = Answer.json(HTTPStatus.OK, '{"status":"OK"}')
ONLY_READ: Final = Answer.json(HTTPStatus.METHOD_NOT_ALLOWED, '{"detail":"This is only read."}', ("Allow", "GET, HEAD"))
NOTHING: Final = Answer.json(HTTPStatus.NOT_FOUND, '{"detail":"Only /livez, /readyz and /metrics are served here."}')


class Probes:
    """An ASGI application that answers probes by itself, and leaves all else to another; one an event loop."""

    def __init__(self, application: Asgi, *, patience: float = PATIENCE_SECONDS) -> None:
        """Stand before ``application``, and wait for the database for so many seconds."""
        self._application = application
        database = Database(threads=2, name="probes")  # one for each of the two that ask it
        self._lacking = OneAtATime(partial(database.ask, Readiness().lacking), patience=patience)
        self._reading = OneAtATime(partial(database.ask, read), patience=patience)
        self._answers = {"/livez": self._live, "/readyz": self._ready, "/metrics": self._metrics}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answer = self._answers.get(scope["path"].rstrip("/")) if scope["type"] == "http" else None
        if answer is None:
            await self._application(scope, receive, send)
        elif scope["method"] not in {"GET", "HEAD"}:
            await send_answer(ONLY_READ, send)
        else:
            await send_answer(await answer(scope), send)

    async def _live(self, scope: Scope) -> Answer:
        del scope
        return FINE

    async def _ready(self, scope: Scope) -> Answer:
        del scope
        lacking = await self._lacking(otherwise=AWAY)
        if not lacking:
            return FINE
        return Answer.json(HTTPStatus.SERVICE_UNAVAILABLE, json.dumps({"detail": lacking}))

    async def _metrics(self, scope: Scope) -> Answer:
        if refused := readers.refusal(scope):
            return refused
        reading = await self._reading(otherwise=None)
        accept = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"), "")
        return await asyncio.to_thread(_written, reading, accept=accept)


class OneAtATime(Generic[Found]):
    """Asks once for all who come meanwhile, and waits no longer than it has patience."""

    def __init__(self, ask: Callable[[], Awaitable[Found]], *, patience: float) -> None:
        """Ask by ``ask``, which raises nothing."""
        self._ask = ask
        self._patience = patience
        self._asked: asyncio.Future[Found] | None = None

    async def __call__(self, *, otherwise: Found) -> Found:
        """Return what is found, or ``otherwise`` where that takes too long."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.ensure_future(self._ask())
        try:
            return await asyncio.wait_for(asyncio.shield(self._asked), self._patience)
        except TimeoutError:
            return otherwise


def read() -> Reading | None:
    """Read the gauges; None where the database does not answer."""
    try:
        now = clock.now()
        lease = timedelta(seconds=settings.QANAT.lease_seconds)
        return Reading(figures=figures(now=now, lease=lease), tick_age=tick_age(now=now))
    except DatabaseError:
        return None


class _Everything(Collector):
    """Counters and gauges, once."""

    def __init__(self, reading: Reading | None) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        yield from counters.collect()
        yield from gauges.families(self._reading)


def _written(reading: Reading | None, *, accept: str) -> Answer:
    """Return the metrics in the form that the reader likes best."""
    registry = CollectorRegistry()
    registry.register(_Everything(reading))
    encode, content_type = choose_encoder(accept)
    return Answer(status=HTTPStatus.OK, headers=[("Content-Type", content_type)], body=encode(registry))


async def only_probes(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve nothing: what stands behind the probes of a process that has no other HTTP."""
    del scope, receive
    await send_answer(NOTHING, send)
