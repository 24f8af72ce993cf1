"""How long whoever failed to log in has to wait: the first failures cost nothing, then each doubles the wait.

Failures are forgotten one by one, so whoever mistypes now and then never waits. The limits bound guesses to one a
minute for an account, and leave its owner waiting for no more than that, whoever else is guessing.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What one kind of key, an account or an address, may fail."""

    free: int
    """Failures that cost no wait."""
    forget_seconds: float
    """After so long one of them is forgotten."""
    longest_seconds: float
    """No wait is longer."""


ACCOUNT: Final = Limit(free=10, forget_seconds=60, longest_seconds=60)
ADDRESS: Final = Limit(free=30, forget_seconds=10, longest_seconds=60)
"""Of a whole office, perhaps."""


def remaining(limit: Limit, *, failures: float, seconds: float) -> float:
    """Return what is left of ``failures`` after so many seconds without one."""
    return max(0.0, failures - seconds / limit.forget_seconds)


def wait(limit: Limit, failures: float) -> float:
    """Return how many seconds the next attempt has to wait after so many failures."""
    over = failures - limit.free
    return 0.0 if over <= 0 else min(limit.longest_seconds, 2.0 ** min(over, 32.0))
