"""Whether a failed attempt is tried again, and when (``orchestration.md``, section 4, Fail)."""

from dataclasses import dataclass
from typing import Final

from qanat.contract.statuses import FailureClass

MODEL_ATTEMPTS: Final = 2
"""A model error is tried once more; the same step failing twice is final."""
MEMORY_ATTEMPTS: Final = 2
"""Out of memory is tried once more, with one kernel process."""
WORKERS_KILLED: Final = 3
"""A step that takes three workers down with it is set aside."""
FIRST_DELAY_SECONDS: Final = 1.0
LONGEST_DELAY_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """How often a step has failed so far, by what it was held against; the failure in hand is included."""

    model: int = 0
    memory: int = 0
    infrastructure: int = 0
    workers_lost: int = 0

    def plus(self, failure: FailureClass) -> "Attempts":
        """Return the counts with one more failure of its class."""
        return Attempts(
            model=self.model + (failure in {FailureClass.MODEL, FailureClass.INPUT}),
            memory=self.memory + (failure is FailureClass.OUT_OF_MEMORY),
            infrastructure=self.infrastructure + (failure is FailureClass.INFRASTRUCTURE),
            workers_lost=self.workers_lost + (failure is FailureClass.WORKER_LOST),
        )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Try again after ``delay_seconds``, with fewer kernel processes if so said; or give up."""

    retry: bool
    delay_seconds: float = 0.0
    fewer_processes: bool = False


GIVE_UP: Final = Verdict(retry=False)


def judge(*, failure: FailureClass, attempts: Attempts) -> Verdict:
    """Decide what follows from a failure; ``attempts`` includes it.

    Input errors are final at once: the same bytes fail the same way. Infrastructure never gives up, it waits for
    what is away to come back, with a delay that doubles from one second to a minute.
    """
    match failure:
        case FailureClass.INPUT:
            return GIVE_UP
        case FailureClass.MODEL:
            return Verdict(retry=True) if attempts.model < MODEL_ATTEMPTS else GIVE_UP
        case FailureClass.OUT_OF_MEMORY:
            return Verdict(retry=True, fewer_processes=True) if attempts.memory < MEMORY_ATTEMPTS else GIVE_UP
        case FailureClass.WORKER_LOST:
            return Verdict(retry=True) if attempts.workers_lost < WORKERS_KILLED else GIVE_UP
        case FailureClass.INFRASTRUCTURE:
            return Verdict(retry=True, delay_seconds=backoff(attempts.infrastructure))


def backoff(times: int) -> float:
    """Return the seconds to wait after something has gone wrong ``times`` times in a row (``times`` >= 1)."""
    return float(min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(times - 1, 16)))
