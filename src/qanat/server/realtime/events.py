"""Events for browsers: server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

``api/v2/events.py`` lets the reader in; the event loop goes on from there, so that a reader holds a connection of the
network and nothing else.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from django.contrib.auth.models import User
from django.db import Error as DatabaseError

from qanat.contract.statuses import StepState
from qanat.domain.step_state import SHOWN_AS
from qanat.server.accounts.access import visible
from qanat.server.analyses.models import Analysis
from qanat.server.api.common.streams import EventStream
from qanat.server.portfolios.models import Portfolio
from qanat.server.realtime.database import Database
from qanat.server.realtime.listeners import Dismissed, Letter, Listener, Wants, present
from qanat.server.realtime.sockets import SEND_SECONDS, Message, Send
from qanat.server.runs import clock, news
from qanat.server.runs.news import Happening

if TYPE_CHECKING:
    from qanat.server.realtime.watcher import Watcher

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS: Final = 15.0
LONGEST_SECONDS: Final = 600.0
"""Then the reader must come back, and prove again who it is: browsers do so by themselves."""
MOST_RESUMED: Final = 5_000
PIECE_CHARACTERS: Final = 2**14
"""What is sent at a time: so much is copied for a reader that does not take it."""
HEARTBEAT: Final = Letter(text=": still here\n\n")


def letters(happened: Iterable[Happening], *, actor: User, settled: int) -> list[Letter]:
    """Return the events that ``actor`` may see, as they go to browsers, in a constant number of queries.

    An event's id is where to go on after it: never beyond ``settled``, the number before which nothing is missing.
    """
    happened = list(happened)
    analyses = _seen_analyses({each.analysis_id for each in happened if each.analysis_id is not None}, actor=actor)
    portfolios = _seen_portfolios(
        {each.portfolio_id for each in happened if each.portfolio_id is not None}, actor=actor
    )
    return [
        Letter(text=_event(each, status=analyses.get(each.analysis_id), settled=settled), number=each.number)
        for each in happened
        if each.analysis_id in analyses or each.portfolio_id in portfolios
    ]


def _seen_analyses(ids: set[int], *, actor: User) -> dict[int | None, str]:
    """Return the status of each analysis that the actor sees."""
    seen = visible(Analysis.objects.filter(pk__in=ids), actor=actor, through="portfolio")
    return dict(seen.values_list("pk", "status"))


def _seen_portfolios(ids: set[int], *, actor: User) -> set[int | None]:
    seen = visible(Portfolio.objects.filter(pk__in=ids), actor=actor)
    return set(seen.values_list("pk", flat=True))


def _event(happening: Happening, *, status: str | None, settled: int) -> str:
    step = happening.step_id
    document = {
        "number": happening.number,
        "time": clock.shown(happening.at),
        "analysis": happening.analysis_id,
        "portfolio": happening.portfolio_id,
        "status": status,
        "run": happening.run_id,
        "kind": happening.kind,
        "change": happening.change,
        "state": happening.state if step is None else SHOWN_AS[StepState(happening.state)],
        "sub_task": None if step is None else {"id": step, "slug": happening.slug},
    }
    kind = "run" if step is None else "sub_task"
    return f"id: {min(happening.number, settled)}\nevent: {kind}\ndata: {json.dumps(document)}\n\n"


class Streams:
    """The streams of one process."""

    def __init__(self, watcher: "Watcher") -> None:
        """Be told by ``watcher``."""
        self._watcher = watcher
        self._database = Database(threads=1, name="streams")

    def rest_of(self, answer: object) -> Callable[[Send], Awaitable[None]] | None:
        """Return what goes on with the answer of an endpoint, where it is the beginning of a stream."""
        return partial(self.go_on, answer) if isinstance(answer, EventStream) else None

    async def go_on(self, stream: EventStream, send: Send) -> None:
        """Go on with a stream until its time is over, its reader may not read it any more, or does not read it."""
        listener = Listener(user_id=stream.reader, wants=Wants.EVENTS)
        end = min(time.time() + LONGEST_SECONDS, stream.until)
        self._watcher.join(listener)
        try:
            await self._tell(listener, stream, send, end=end)
        except (Dismissed, TimeoutError):
            pass
        except DatabaseError as error:
            logger.warning("The database did not answer a stream, which ends; browsers come back: %s", error)
        finally:
            self._watcher.leave(listener)

    async def _tell(self, listener: Listener, stream: EventStream, send: Send, *, end: float) -> None:
        """Send what the listener is told.

        Raises:
            Dismissed: it may be told nothing any more.
            TimeoutError: it does not take what it is sent, or the database is away.
            DatabaseError: the database does not say what it has missed.
        """
        await asyncio.wait_for(listener.met.wait(), SEND_SECONDS)
        known = await self._resume(stream, send, settled=listener.settled)
        while (left := end - time.time()) > 0:
            try:
                told = await asyncio.wait_for(listener.take(), min(left, HEARTBEAT_SECONDS))
            except TimeoutError:
                await _send(send, [HEARTBEAT])
                continue
            await _send(send, [letter for letter in told if letter.number not in known])

    async def _resume(self, stream: EventStream, send: Send, *, settled: int) -> set[int]:
        """Send what the reader has missed, or else where to go on from; return the numbers of what was sent."""
        missed = await self._database.ask(_missed, reader=stream.reader, after=stream.after, settled=settled)
        await _send(send, missed)
        return {letter.number for letter in missed}


def _missed(*, reader: int, after: int | None, settled: int) -> list[Letter]:
    """Return the events that a reader has missed since one.

    Raises:
        Dismissed: the reader is switched off.
    """
    actor = present(reader)
    if after is None:
        return [Letter(text=f"id: {settled}\n\n")]
    happened = news.since(after, limit=MOST_RESUMED)
    if len(happened) == MOST_RESUMED or after > news.latest():
        return [Letter(text=f"id: {settled}\nevent: reset\ndata: {{}}\n\n")]
    return letters(happened, actor=actor, settled=settled)


async def _send(send: Send, told: Sequence[Letter]) -> None:
    for piece in _pieces(told):
        message: Message = {"type": "http.response.body", "body": piece.encode(), "more_body": True}
        await asyncio.wait_for(send(message), SEND_SECONDS)


def _pieces(told: Sequence[Letter]) -> Iterator[str]:
    texts: list[str] = []
    size = 0
    for letter in told:
        texts.append(letter.text)
        size += len(letter.text)
        if size >= PIECE_CHARACTERS:
            yield "".join(texts)
            texts, size = [], 0
    if texts:
        yield "".join(texts)
