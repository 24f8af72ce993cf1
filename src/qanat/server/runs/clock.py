"""The engine's clock is the database's, so that leases mean the same to every process on every host."""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import connection

ASKED_AGAIN_AFTER_SECONDS: Final = 10.0
"""A host's clock may run fast or slow, but not by what matters to a lease in so short a time."""
TICKS: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock of the system that nobody sets; on Linux it goes on while the machine sleeps."""


def shown(moment: datetime) -> str:
    """Return how clients see a moment: in UTC, always with six digits after the second, and a Z."""
    return f"{moment.astimezone(UTC).isoformat(timespec='microseconds')[:-6]}Z"


def now() -> datetime:
    """Return the database server's time; SQLite has no server, so it is this host's.

    The server is asked now and then; between, its time is as far on as this host's clock.
    """
    global _asked  # noqa: PLW0603 - one pair, replaced as a whole, whichever thread is first
    if connection.vendor != "postgresql":
        return datetime.now(tz=UTC)
    ticks = time.clock_gettime(TICKS)
    then, moment = _asked
    if ticks - then > ASKED_AGAIN_AFTER_SECONDS:
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            (moment,) = cursor.fetchone()
        then = ticks = time.clock_gettime(TICKS)
        _asked = then, moment
    return moment + timedelta(seconds=ticks - then)


_asked: tuple[float, datetime] = (-ASKED_AGAIN_AFTER_SECONDS, datetime.fromtimestamp(0, tz=UTC))
"""By the system's clock when the database was asked last, and what it said."""
