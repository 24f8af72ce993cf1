"""A failure is tried again as often as its class allows, and after as long as it should."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qanat.contract.statuses import FailureClass
from qanat.domain.retries import Attempts, Verdict, backoff, judge


def failing(failure: FailureClass, times: int) -> list[Verdict]:
    """Return the verdicts of a step that fails the same way so often."""
    attempts = Attempts()
    verdicts = []
    for _ in range(times):
        attempts = attempts.plus(failure)
        verdicts.append(judge(failure=failure, attempts=attempts))
    return verdicts


@pytest.mark.parametrize(
    ("failure", "runs"),
    [
        (FailureClass.INPUT, 1),
        (FailureClass.MODEL, 2),
        (FailureClass.OUT_OF_MEMORY, 2),
        (FailureClass.WORKER_LOST, 3),
    ],
)
def test_a_step_is_given_up_when_its_class_of_failure_has_used_up_its_attempts(
    failure: FailureClass, runs: int
) -> None:
    retried = [verdict.retry for verdict in failing(failure, times=runs + 2)]

    assert retried == [True] * (runs - 1) + [False] * 3


def test_trouble_of_the_installation_is_never_held_against_the_step() -> None:
    verdicts = failing(FailureClass.INFRASTRUCTURE, times=500)

    assert all(verdict.retry for verdict in verdicts)


def test_trouble_of_the_installation_is_waited_out_for_longer_and_longer_up_to_a_minute() -> None:
    delays = [verdict.delay_seconds for verdict in failing(FailureClass.INFRASTRUCTURE, times=9)]

    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_only_out_of_memory_is_tried_again_with_fewer_processes() -> None:
    first = {failure: failing(failure, times=1)[0].fewer_processes for failure in FailureClass}

    assert [failure for failure, fewer in first.items() if fewer] == [FailureClass.OUT_OF_MEMORY]


@pytest.mark.parametrize("failure", FailureClass)
def test_a_step_that_is_given_up_is_not_told_to_wait(failure: FailureClass) -> None:
    verdicts = [verdict for verdict in failing(failure, times=5) if not verdict.retry]

    assert all(verdict == Verdict(retry=False) for verdict in verdicts)
    assert bool(verdicts) == (failure is not FailureClass.INFRASTRUCTURE)


CLASSES = st.lists(st.sampled_from(FailureClass))


@given(history=CLASSES)
def test_every_failure_is_counted_once(history: list[FailureClass]) -> None:
    attempts = Attempts()

    for failure in history:
        attempts = attempts.plus(failure)

    assert attempts.model == history.count(FailureClass.MODEL) + history.count(FailureClass.INPUT)
    assert attempts.memory == history.count(FailureClass.OUT_OF_MEMORY)
    assert attempts.infrastructure == history.count(FailureClass.INFRASTRUCTURE)
    assert attempts.workers_lost == history.count(FailureClass.WORKER_LOST)


OTHERS = st.lists(st.sampled_from(sorted({*FailureClass} - {FailureClass.MODEL, FailureClass.INPUT})))


@given(history=OTHERS)
def test_other_failures_do_not_use_up_the_attempts_of_a_model_error(history: list[FailureClass]) -> None:
    attempts = Attempts()
    for failure in [*history, FailureClass.MODEL]:
        attempts = attempts.plus(failure)

    first = judge(failure=FailureClass.MODEL, attempts=attempts)
    second = judge(failure=FailureClass.MODEL, attempts=attempts.plus(FailureClass.MODEL))

    assert (first.retry, second.retry) == (True, False)


@given(times=st.integers(1, 10**9))
def test_the_wait_stays_between_a_second_and_a_minute_and_never_shrinks(times: int) -> None:
    assert 1.0 <= backoff(times) <= backoff(times + 1) <= 60.0
