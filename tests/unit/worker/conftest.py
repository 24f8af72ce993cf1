"""Waiting for what another process does, with a limit."""

import time
from collections.abc import Callable

import pytest

LIMIT_SECONDS = 15.0


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Wait until a condition holds, and fail where it does not in good time."""

    def wait(holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + LIMIT_SECONDS
        while not holds():
            assert time.monotonic() < deadline, "it did not happen in good time"
            time.sleep(0.02)

    return wait
