"""Servers from the system's packages, as `make services` starts them."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from services import HOST, PostgreSQL, RabbitMQ, ServiceFailed, free_ports, missing

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


@pytest.fixture
def postgresql() -> Iterator[PostgreSQL]:
    """A server on a port; skipped where its binaries are not."""
    if PostgreSQL.programme() is None:
        pytest.skip(missing(PostgreSQL))
    # Where root starts it, its user must get there: what pytest gives is closed to others.
    folder = Path(tempfile.mkdtemp(prefix="qanat-pg-"))
    service = PostgreSQL(folder=folder, port=free_ports(1)[0])
    yield service
    service.stop(mode="immediate")
    shutil.rmtree(folder)


def test_a_database_outlives_a_hard_stop_and_is_nobody_elses(postgresql: PostgreSQL) -> None:
    postgresql.start()
    with psycopg.connect(postgresql.url) as connection:
        connection.execute("create table kept as select 7 as number")

    postgresql.stop(mode="immediate")
    postgresql.start()

    with psycopg.connect(postgresql.url) as connection:
        assert connection.execute("select number from kept").fetchall() == [(7,)]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgresql.url.replace(postgresql.password, "guessed"))


def test_a_port_that_is_taken_is_said(postgresql: PostgreSQL, tmp_path: Path) -> None:
    postgresql.start()
    assert postgresql.port is not None
    other = RabbitMQ(folder=tmp_path, port=postgresql.port, distribution_port=free_ports(1)[0])

    with pytest.raises(ServiceFailed, match=f"port {postgresql.port} of {HOST} cannot be used"):
        other.start()


def test_what_is_not_installed_is_said_with_what_to_do() -> None:
    assert missing(RabbitMQ) == (
        "RabbitMQ is not installed: install rabbitmq-server (Debian and Ubuntu: apt-get install, as root)."
    )
