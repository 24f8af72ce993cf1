"""What every Celery app of ours does with its broker."""

import pytest
from celery import Celery
from kombu.exceptions import OperationalError

from qanat.cli.up.platform import free_port


def test_a_broker_that_is_away_is_looked_for_each_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kombu.utils.functional.sleep", lambda _: None)
    nobody = f"amqp://127.0.0.1:{free_port('127.0.0.1')}//"
    app = Celery(broker=nobody, amqp="qanat.amqp:Amqp")
    pauses: list[float] = []

    with app.connection_for_read() as connection, pytest.raises(OperationalError):
        connection.ensure_connection(lambda _, pause: pauses.append(pause), 20)

    assert pauses == [1] * 20
