"""What is done once before the server works: tables brought up to date, and an administrator made."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TextIO

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from qanat.server.accounts.operations import FIRST_ADMIN, ensure_admin, ensure_first_admin

logger = logging.getLogger(__name__)

LOCK: Final = 0x71616E6174
"""The number under which PostgreSQL knows that somebody migrates."""


@dataclass(frozen=True, kw_only=True)
class Admin:
    """Who can log in as administrator."""

    admin: str
    password: str | None = field(repr=False)
    """None: it is known to those who have it."""
    generated: bool


def prepare(*, migrate: bool) -> Admin:
    """Bring the tables up to date if asked, and make the administrator whom the settings name, else a first one."""
    if migrate:
        migrate_tables()
    if named := given_admin():
        return named
    password = ensure_first_admin()
    return Admin(admin=FIRST_ADMIN, password=password, generated=password is not None)


def given_admin() -> Admin | None:
    """Make the administrator whom the settings name; nobody where users log in through a provider."""
    configured = settings.QANAT
    if not configured.admin_user or configured.through_provider:
        return None
    password = configured.admin_password.get_secret_value()
    ensure_admin(name=configured.admin_user, password=password)
    return Admin(admin=configured.admin_user, password=password, generated=False)


def migrate_tables(to: TextIO | None = None) -> None:
    """Bring the tables up to date; of several processes that do so on PostgreSQL, one at a time.

    Args:
        to: where Django says what it does; nowhere: that goes into the log.
    """
    said = io.StringIO()
    with _alone():
        call_command("migrate", verbosity=1, stdout=to or said, no_color=True)
    for line in said.getvalue().splitlines():
        logger.info("%s", line.strip())


@contextmanager
def _alone() -> Iterator[None]:
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
