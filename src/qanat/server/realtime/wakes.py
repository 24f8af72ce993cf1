"""PostgreSQL tells of commits: the triggers of ``queues/migrations`` notify, and this hears it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from django.db import connection

logger = logging.getLogger(__name__)

CHANNEL: Final = "qanat_changes"
AGAIN_AFTER_SECONDS: Final = 1.0
NOT_OF_A_CONNECTION: Final = {"cursor_factory", "context", "prepare_threshold"}
"""What Django has for its own connections."""


async def hear(*, begun: Callable[[], None], woken: Callable[[], None], lost: Callable[[], None]) -> None:
    """Call ``woken`` at each commit that tells something, for ever.

    Between ``begun`` and ``lost`` one can rely on it. A server that is away is asked again: until then the looks of the
    caller must do.
    """
    import psycopg  # noqa: PLC0415 - installed where the database is PostgreSQL

    while True:
        try:
            async with await psycopg.AsyncConnection.connect(**_parameters(), autocommit=True) as ear:
                await ear.execute(f"LISTEN {CHANNEL}")
                begun()
                woken()  # for what was told before
                async for _ in ear.notifies():
                    woken()
        except psycopg.Error as error:
            logger.warning("The database tells no commits, they are looked for: %s", error)
        finally:
            lost()
        await asyncio.sleep(AGAIN_AFTER_SECONDS)


def tells_commits() -> bool:
    """Return whether the database can tell of commits."""
    return connection.vendor == "postgresql"


def _parameters() -> dict[str, Any]:
    known = connection.get_connection_params()
    return {name: value for name, value in known.items() if name not in NOT_OF_A_CONNECTION}
