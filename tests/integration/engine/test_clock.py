"""The engine's clock is the database's, and is not asked for with each request."""

import datetime as dt
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from qanat.server.runs import clock

CLOSE = dt.timedelta(seconds=1)


def of_the_database() -> dt.datetime:
    """Return what the database says."""
    if connection.vendor != "postgresql":
        return dt.datetime.now(tz=dt.UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: dt.datetime = cursor.fetchone()[0]
    return moment


@pytest.fixture
def asked(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database was asked just now, and its clock is an hour ahead."""
    ticks = time.clock_gettime(clock.TICKS)
    monkeypatch.setattr(clock, "_asked", (ticks, of_the_database() + dt.timedelta(hours=1)))


@pytest.mark.usefixtures("asked")
def test_between_it_goes_on_by_itself() -> None:
    with CaptureQueriesContext(connection) as queries:
        first, second = clock.now(), clock.now()

    assert len(queries) == 0
    assert first <= second
    hour = dt.timedelta(hours=1) if connection.vendor == "postgresql" else dt.timedelta(0)
    assert abs(first - of_the_database() - hour) < CLOSE


@pytest.mark.usefixtures("asked")
def test_it_is_asked_again_before_clocks_can_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    then, moment = clock._asked
    monkeypatch.setattr(clock, "_asked", (then - clock.ASKED_AGAIN_AFTER_SECONDS - 1, moment))

    found = clock.now()

    assert abs(found - of_the_database()) < CLOSE
