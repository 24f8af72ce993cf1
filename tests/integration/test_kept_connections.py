"""A connection to PostgreSQL that was kept, and is gone when it is needed, is made anew before anybody notices."""

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests import live_server, postgres
from tests.live_server import serving

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
END_ALL = """
SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND datname = current_database()
"""
PREPARED = f"""
import django
django.setup()
import psycopg
from django.conf import settings
from django.db import close_old_connections
from django.core.management import call_command
from qanat.server.runs import steps

call_command("migrate", verbosity=0)
assert steps.find(1) is None
with psycopg.connect(settings.QANAT.database_url, autocommit=True) as connection:
    assert connection.execute({END_ALL!r}).fetchone() == (1,)
close_old_connections()  # as before each request and each task
assert steps.find(1) is None
print("asked")
"""


def test_the_first_statement_over_it_may_be_a_prepared_one(tmp_path: Path) -> None:
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL's binaries are not installed: apt-get install postgresql")

    with postgres.server() as url:
        told = live_server.environment(tmp_path, {"QANAT_DATABASE_URL": url})
        done = subprocess.run([sys.executable, "-c", PREPARED], env=told, capture_output=True, text=True, check=False)

    assert done.stdout.strip() == "asked", done.stderr


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
