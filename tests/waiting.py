"""Waits for what other processes bring about."""

import time
from collections.abc import Callable
from typing import Any

LIMIT_SECONDS = 90.0


class NotInTime(AssertionError):
    """What should have happened has not."""


def until(holds: Callable[[], Any], *, what: str, seconds: float = LIMIT_SECONDS, every: float = 0.1) -> Any:  # noqa: ANN401 - whatever holds
    """Return the first true answer."""
    deadline = time.monotonic() + seconds
    while not (answer := holds()):
        if time.monotonic() > deadline:
            message = f"{what}: not within {seconds:.0f} s"
            raise NotInTime(message)
        time.sleep(every)
    return answer
