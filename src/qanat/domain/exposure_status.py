"""How the status of a task on a portfolio's exposure changes: one table for validation, exposure run and transform."""

from enum import StrEnum
from typing import Final

from qanat.contract.statuses import ExposureStatus as Status


class Event(StrEnum):
    """What can happen to such a task."""

    REQUESTED = "requested"
    LACKING = "exposure is lacking"
    MADE = "made"
    FAILED = "failed"


TRANSITIONS: Final[dict[tuple[Status, Event], Status]] = {
    **{(status, Event.REQUESTED): Status.STARTED for status in Status},
    **{(status, Event.LACKING): Status.INSUFFICIENT_DATA for status in Status},
    (Status.STARTED, Event.MADE): Status.RUN_COMPLETED,
    # A transform that fails takes with it the validation that would have followed, whatever that one's status.
    **{(status, Event.FAILED): Status.ERROR for status in Status},
}
"""A request while one is under way takes its place."""


class TransitionRefused(Exception):
    """The status does not permit the event."""


def after(status: Status, event: Event) -> Status:
    """Return the status that follows ``event``.

    Raises:
        TransitionRefused: the table has no entry for the pair.
    """
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        message = f"'{event}' is not possible while the status is {status}"
        raise TransitionRefused(message) from None
