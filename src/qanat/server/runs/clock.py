"""The engine's clock is the database's, so that leases mean the same to every process on every host."""

from datetime import UTC, datetime

from django.db import connection


def shown(moment: datetime) -> str:
    """Return how clients see a moment: in UTC, always with six digits after the second, and a Z."""
    return f"{moment.astimezone(UTC).isoformat(timespec='microseconds')[:-6]}Z"


def now() -> datetime:
    """Return the database server's time; SQLite has no server, so it is this host's."""
    if connection.vendor != "postgresql":
        return datetime.now(tz=UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (moment,) = cursor.fetchone()
    return moment  # type: ignore[no-any-return]
