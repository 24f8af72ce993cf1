"""Who listens, and what waits for them.

A listener that is slow holds up nobody: of documents, each of which says all, it keeps the latest; of events, each of
which is news, it keeps a number, and is sent away when there are more. It comes back and says where it was.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from django.contrib.auth.models import User

from qanat.server.accounts.authentication import still_there

MOST_EVENTS: Final = 5_000


class Wants(Enum):
    """What somebody listens to."""

    QUEUES = auto()
    EVENTS = auto()


class Dismissed(Exception):
    """The listener is told nothing any more: the user is switched off, or too much has waited for them."""


def present(user_id: int) -> User:
    """Return whoever listens, as they are now.

    Raises:
        Dismissed: they are switched off.
    """
    user = still_there([user_id]).get(user_id)
    if user is None:
        raise Dismissed
    return user


@dataclass(frozen=True, kw_only=True)
class Letter:
    """What is told; one for all who have the same rights."""

    text: str
    number: int = 0
    """Of the event."""


@dataclass(eq=False, kw_only=True)
class Listener:
    """Somebody's ear, of one connection; belongs to one event loop."""

    user_id: int
    wants: Wants
    met: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the watcher knows the listener: from then on it is told everything."""
    settled: int = 0
    """The event up to which nothing was missing then (``runs.news.Cursor.settled``)."""
    _letters: deque[Letter] = field(default_factory=deque)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _dismissed: bool = False

    def meet(self, *, settled: int) -> None:
        """Note that the watcher knows the listener."""
        self.settled = settled
        self.met.set()

    def tell(self, letter: Letter) -> None:
        """Have the listener told."""
        if self.wants is Wants.QUEUES:
            self._letters.clear()
        elif len(self._letters) >= MOST_EVENTS:
            self.dismiss()
            return
        self._letters.append(letter)
        self._arrived.set()

    def dismiss(self) -> None:
        """Tell the listener nothing any more, and nothing of what waits."""
        self._letters.clear()
        self._dismissed = True
        self.met.set()
        self._arrived.set()

    async def take(self) -> list[Letter]:
        """Return what waits, as soon as anything does.

        Raises:
            Dismissed: nothing will.
        """
        await self._arrived.wait()
        if self._dismissed:
            raise Dismissed
        self._arrived.clear()
        letters = list(self._letters)
        self._letters.clear()
        return letters
