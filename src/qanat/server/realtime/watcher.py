"""One look for all listeners of a process: what has happened, who may know, and a letter for each set of rights.

The engine's event table and beat's ticks are the source. While anybody listens, they are looked at once in a while,
and at once where the database tells of commits (``wakes``). What a look costs does not grow with the listeners: their
users are read in one query, and those with equal rights get the same letter, made once.
"""

import asyncio
import json
import logging
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db import Error as DatabaseError

from qanat.server.accounts.access import actor_of
from qanat.server.accounts.authentication import still_there
from qanat.server.api.v2.queues import show_models
from qanat.server.queues import queries
from qanat.server.realtime import events, wakes
from qanat.server.realtime.database import Database
from qanat.server.realtime.listeners import Letter, Listener, Wants
from qanat.server.runs.news import AT_ONCE, Cursor, Happening

logger = logging.getLogger(__name__)

SHORTEST_PAUSE_SECONDS: Final = 0.1
"""What happens within it arrives together."""
PAUSE_PER_WORK: Final = 4
"""After a look that took long, the pause is so many times as long: telling never takes more than a fifth of a core."""
RARER_WHEN_WOKEN: Final = 15
Rights = tuple[bool, frozenset[int]]
"""All that decides what a user may see: whether a superuser, and the groups."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What came of a look."""

    gone: list[Listener]
    letters: list[tuple[Listener, list[Letter]]]
    settled: int


@dataclass
class Ledger:
    """What has been seen and told; used by one thread at a time."""

    cursor: Cursor | None = None
    tick: int = 0
    happened: list[Happening] = field(default_factory=list)
    """What a look took and, failing, did not tell."""
    announced: bool = False
    """The last document had analyses that have ended: it is followed by one without them."""
    behind: bool = False
    """More may have happened than the last look took."""

    @property
    def has_more(self) -> bool:
        """Whether there is something to tell without anything happening."""
        return self.announced or self.behind

    def look(self, listeners: Collection[Listener], new: Collection[Listener]) -> Told:
        """Return what to tell whom.

        Args:
            listeners: all.
            new: those among them that have not been told anything; they are told the queues in any case.
        """
        if self.cursor is None:
            self.cursor, self.tick = Cursor.at_end(seconds=time.monotonic()), queries.latest_tick()
        behind = self._take(self.cursor)
        tick = queries.latest_tick()
        changed = bool(self.happened) or tick != self.tick or self.announced
        due = listeners if changed else new
        users = still_there({listener.user_id for listener in due}) if due else {}
        ended = queries.ended({each.analysis_id for each in self.happened if each.analysis_id is not None})
        letters = list(self._letters(due, new, users=users, ended=ended, settled=self.cursor.settled))
        if due:
            self.tick, self.announced = tick, bool(ended)
        self.happened, self.behind = [], behind
        gone = [each for each in due if each.user_id not in users]
        return Told(gone=gone, letters=letters, settled=self.cursor.settled)

    def _take(self, cursor: Cursor) -> bool:
        """Take what has happened; return whether more may have than was taken."""
        if self.happened:  # The database keeps what came since: while looks fail, nothing piles up here.
            return True
        self.happened = cursor.take(seconds=time.monotonic())
        return len(self.happened) >= AT_ONCE

    def _letters(
        self,
        due: Collection[Listener],
        new: Collection[Listener],
        *,
        users: dict[int, User],
        ended: Collection[int],
        settled: int,
    ) -> Iterator[tuple[Listener, list[Letter]]]:
        """Yield what each listener that is due is told; those with equal rights get the same."""
        for actor, equals in _by_rights(due, users):
            documents = [each for each in equals if each.wants is Wants.QUEUES]
            # Whoever is new reads what was before for themselves, from where they were.
            streams = [each for each in equals if each.wants is Wants.EVENTS and each not in new]
            if documents:
                letter = Letter(text=json.dumps(queries.queue_status(actor, show_models=show_models, also=ended)))
                yield from ((each, [letter]) for each in documents)
            if streams and self.happened:
                shown = events.letters(self.happened, actor=actor, settled=settled)
                yield from ((each, shown) for each in streams)


def _by_rights(listeners: Collection[Listener], users: dict[int, User]) -> list[tuple[User, list[Listener]]]:
    """Return the listeners that may see the same, each time with one of their users."""
    found: defaultdict[Rights, list[Listener]] = defaultdict(list)
    for listener in listeners:
        if (user := users.get(listener.user_id)) is not None:
            found[user.is_superuser, frozenset(actor_of(user).groups)].append(listener)
    return [(users[equals[0].user_id], equals) for equals in found.values()]


class Watcher:
    """The looks of one process; all of it runs in one event loop."""

    def __init__(self) -> None:
        """Have nobody listen yet."""
        self._database = Database(threads=1, name="watcher")
        self._listeners: set[Listener] = set()
        self._new: set[Listener] = set()
        self._woken = asyncio.Event()
        self._is_woken = False
        self._task: asyncio.Task[None] | None = None

    def join(self, listener: Listener) -> None:
        """Have a listener told from now on; whoever listens to the queues is told at once."""
        self._listeners.add(listener)
        self._new.add(listener)
        self._woken.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._watch())

    def leave(self, listener: Listener) -> None:
        """Tell a listener nothing any more."""
        self._listeners.discard(listener)
        self._new.discard(listener)

    async def _watch(self) -> None:
        """Look until nobody listens any more."""
        ledger = Ledger()
        hearing = asyncio.create_task(self._hear()) if wakes.tells_commits() else None
        try:
            while self._listeners:
                self._woken.clear()
                began = time.monotonic()
                succeeded = await self._look(ledger)
                await asyncio.sleep(max(SHORTEST_PAUSE_SECONDS, PAUSE_PER_WORK * (time.monotonic() - began)))
                rarer = RARER_WHEN_WOKEN if succeeded and self._is_woken else 1
                if not (succeeded and ledger.has_more):
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._woken.wait(), rarer * settings.QANAT.look_interval_seconds)
        finally:
            self._task = None
            if hearing is not None:
                hearing.cancel()

    async def _look(self, ledger: Ledger) -> bool:
        """Look and tell; say whether the look succeeded."""
        listeners, new = set(self._listeners), set(self._new)
        try:
            told = await self._database.ask(ledger.look, listeners, new)
        except DatabaseError as error:
            logger.warning("The database did not answer, listeners wait: %s", error)
            return False
        except Exception:  # the outermost loop: the next look may succeed
            logger.exception("Listeners were not told; the next look is soon")
            return False
        for listener in told.gone:
            listener.dismiss()
        for listener, letters in told.letters:
            for letter in letters:
                listener.tell(letter)
        self._new -= new
        for listener in new:
            listener.meet(settled=told.settled)
        return True

    async def _hear(self) -> None:
        def rely(*, on_wakes: bool) -> None:
            self._is_woken = on_wakes

        await wakes.hear(begun=partial(rely, on_wakes=True), woken=self._woken.set, lost=partial(rely, on_wakes=False))
