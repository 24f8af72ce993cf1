"""A connection to PostgreSQL that was kept, and is gone when it is needed, is made anew before anybody notices."""

from pathlib import Path

import psycopg
import pytest

from tests import postgres
from tests.live_server import serving

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
END_ALL = """
SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND datname = current_database()
"""


def test_a_connection_that_the_database_has_ended_is_made_anew(tmp_path: Path) -> None:
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL's binaries are not installed: apt-get install postgresql")

    with postgres.server() as url, serving(tmp_path, {"QANAT_DATABASE_URL": url}) as live, live.client() as client:
        before = client.get("v2/portfolios/").status_code
        with psycopg.connect(url, autocommit=True) as connection:
            [ended] = connection.execute(END_ALL).fetchone() or [0]
        after = client.get("v2/portfolios/").status_code

    assert ended >= 1
    assert (before, after) == (200, 200)
