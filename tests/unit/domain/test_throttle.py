"""Waits grow with failures up to a bound, and failures are forgotten."""

from itertools import pairwise

import pytest

from qanat.domain.throttle import ACCOUNT, ADDRESS, Limit, remaining, wait

LIMITS = pytest.mark.parametrize("limit", [ACCOUNT, ADDRESS], ids=["account", "address"])


@LIMITS
def test_the_first_failures_cost_no_wait(limit: Limit) -> None:
    assert [wait(limit, failures) for failures in range(limit.free + 1)] == [0.0] * (limit.free + 1)


@LIMITS
def test_then_each_failure_doubles_the_wait_up_to_a_bound(limit: Limit) -> None:
    waits = [wait(limit, limit.free + over) for over in range(1, 5000)]

    assert waits[:5] == [2, 4, 8, 16, 32]
    assert all(later >= earlier for earlier, later in pairwise(waits))
    assert max(waits) == limit.longest_seconds


@LIMITS
def test_failures_are_forgotten_one_by_one(limit: Limit) -> None:
    assert remaining(limit, failures=3, seconds=limit.forget_seconds) == 2
    assert remaining(limit, failures=3, seconds=1000 * limit.forget_seconds) == 0


def test_whoever_guesses_for_a_day_has_a_guess_a_minute() -> None:
    failures = clock = 0.0
    guesses = 0
    while clock < 24 * 3600:
        guesses += 1
        failures += 1
        pause = wait(ACCOUNT, failures)
        clock += pause
        failures = remaining(ACCOUNT, failures=failures, seconds=pause)

    assert guesses < 24 * 60 + 2 * ACCOUNT.free
