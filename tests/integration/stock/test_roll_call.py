"""Stock workers are asked what they do, as they send no heartbeats."""

import datetime as dt
from collections.abc import Callable

import pytest
from kombu.exceptions import OperationalError

from qanat.contract.statuses import StepState
from qanat.server.runs.models import Worker
from qanat.server.runs.stock import roll_call
from qanat.server.runs.stock.roll_call import Roll
from tests.integration.engine.world import QUEUE
from tests.integration.stock.world import StockWorld, inputs_result

LEASE = dt.timedelta(seconds=60)
NOBODY = Roll(workers={}, tasks={}, waiting=[])
Call = Callable[[Roll | Exception], int]


@pytest.fixture
def call(stock: StockWorld, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call the roll, with this answer."""

    def answer(roll: Roll | Exception) -> int:
        def ask(*_: object) -> Roll:
            if isinstance(roll, Exception):
                raise roll
            return roll

        monkeypatch.setattr(roll_call, "_ask", ask)
        return roll_call.call_roll(lease=LEASE, now=stock.now)

    return answer


def busy(task_id: str, doing: str = "active") -> Roll:
    return Roll(workers={"w@host": ([QUEUE], 4)}, tasks={task_id: ("w@host", doing)}, waiting=[])


def test_a_step_lives_for_as_long_as_its_worker_says_so(stock: StockWorld, call: Call) -> None:
    sent = stock.begin()
    for _ in range(10):
        call(busy(sent.task_id))
        stock.later(59)
        stock.control()
        assert stock.reap() == 0

    assert stock.sent == []
    assert stock.done(sent, inputs_result())
    assert sent.step.attempt == 1


def test_a_step_whose_worker_answered_and_is_gone_is_given_to_another_in_a_minute(
    stock: StockWorld, call: Call
) -> None:
    sent = stock.begin()
    call(busy(sent.task_id))
    # Its worker's own messages promise no more than its answers.
    stock.hint(sent.task_id)

    stock.later(61)
    call(NOBODY)

    assert stock.reap() == 1
    assert stock.next().task_id != sent.task_id


def test_a_step_whose_worker_died_before_it_was_asked_is_given_to_another_that_answers(
    stock: StockWorld, call: Call
) -> None:
    sent = stock.begin()
    stock.hint(sent.task_id)
    other = Roll(workers={"w@host": ([QUEUE], 4)}, tasks={}, waiting=[])

    for _ in range(4):
        call(other)
        assert stock.reap() == 0
        stock.later(16)

    assert stock.reap() == 1


def test_a_worker_that_never_answers_keeps_its_step(stock: StockWorld, call: Call) -> None:
    sent = stock.begin()
    stock.hint(sent.task_id)

    stock.later(3000)
    call(NOBODY)

    assert stock.reap() == 0
    assert stock.done(sent, inputs_result())


def test_a_message_that_waits_is_not_sent_again(stock: StockWorld, call: Call) -> None:
    stock.begin()
    for _ in range(10):
        call(Roll(workers={}, tasks={}, waiting=[QUEUE]))
        stock.later(50)
        stock.control()

    assert stock.sent == []


def test_a_message_that_nobody_has_is_sent_again(stock: StockWorld, call: Call) -> None:
    sent = stock.begin()

    stock.later(61)
    call(NOBODY)

    assert stock.next().task_id == sent.task_id


@pytest.mark.parametrize("state", [StepState.RUNNING, StepState.SENT])
def test_a_broker_that_is_away_is_held_against_nobody(stock: StockWorld, call: Call, state: StepState) -> None:
    sent = stock.begin()
    if state is StepState.RUNNING:
        call(busy(sent.task_id))
    for _ in range(10):
        call(OperationalError("away"))
        stock.later(59)
        stock.control()
        assert stock.reap() == 0

    assert stock.sent == []
    assert sent.step.state == state


def test_workers_that_answer_are_counted(stock: StockWorld, call: Call) -> None:
    sent = stock.begin()

    call(busy(sent.task_id))

    worker = Worker.objects.get()
    assert (worker.pk, worker.queues, worker.slots) == ("stock:w@host", [QUEUE], 4)


def test_nobody_is_asked_where_there_are_no_stock_workers(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: object) -> Roll:
        raise AssertionError

    monkeypatch.setattr(roll_call, "_ask", ask)

    assert roll_call.call_roll(lease=LEASE, now=dt.datetime.now(tz=dt.UTC)) == 0
