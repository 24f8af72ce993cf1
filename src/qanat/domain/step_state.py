"""How the state of a step changes, and what clients see of it."""

from enum import StrEnum
from typing import Final

from qanat.contract.statuses import StepState as State
from qanat.contract.statuses import SubTaskStatus


class Event(StrEnum):
    """What can happen to a step."""

    PARENTS_DONE = "parents done"
    RUNG = "rung"
    CLAIMED = "claimed"
    COMMITTED = "committed"
    REUSED = "reused"
    FAILED = "failed"
    HANDED_BACK = "handed back"
    CANCELLED = "cancelled"


TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    (State.WAITING, Event.PARENTS_DONE): State.READY,
    (State.READY, Event.RUNG): State.SENT,
    # Rung again: nobody has claimed it for a while.
    (State.SENT, Event.RUNG): State.SENT,
    # A doorbell published but not yet marked as sent may be answered at once.
    (State.READY, Event.CLAIMED): State.RUNNING,
    (State.SENT, Event.CLAIMED): State.RUNNING,
    (State.RUNNING, Event.COMMITTED): State.SUCCEEDED,
    # An earlier run of the same analysis has the outputs already.
    (State.WAITING, Event.REUSED): State.SUCCEEDED,
    (State.READY, Event.REUSED): State.SUCCEEDED,
    (State.RUNNING, Event.FAILED): State.FAILED,
    # To be tried again: by retry, lost lease or a draining worker; the fence goes up.
    (State.RUNNING, Event.HANDED_BACK): State.READY,
    (State.WAITING, Event.CANCELLED): State.CANCELLED,
    (State.READY, Event.CANCELLED): State.CANCELLED,
    (State.SENT, Event.CANCELLED): State.CANCELLED,
    (State.RUNNING, Event.CANCELLED): State.CANCELLED,
}

UNFINISHED: Final = (State.WAITING, State.READY, State.SENT, State.RUNNING)
CLAIMABLE: Final = (State.READY, State.SENT)

SHOWN_AS: Final[dict[State, SubTaskStatus]] = {
    State.WAITING: SubTaskStatus.PENDING,
    State.READY: SubTaskStatus.QUEUED,
    State.SENT: SubTaskStatus.QUEUED,
    State.RUNNING: SubTaskStatus.STARTED,
    State.SUCCEEDED: SubTaskStatus.COMPLETED,
    State.FAILED: SubTaskStatus.ERROR,
    State.CANCELLED: SubTaskStatus.CANCELLED,
}


def sources(event: Event) -> tuple[State, ...]:
    """Return the states from which ``event`` is possible."""
    return tuple(state for state, possible in TRANSITIONS if possible is event)


class StepTransitionRefused(Exception):
    """The step's state does not permit the event; callers treat it as a lost race."""


def after(state: State, event: Event) -> State:
    """Return the state that follows ``event``.

    Raises:
        StepTransitionRefused: the table has no entry for the pair.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        message = f"a step that is {state} cannot be {event}"
        raise StepTransitionRefused(message) from None
