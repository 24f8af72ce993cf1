"""How the status of an analysis changes: one table, read by everything that needs to know.

The diagram in ``docs/reference/statuses.md`` is drawn from the tables here (``scripts/diagrams.py``) and compared
with them in the checks.
"""

from enum import StrEnum
from typing import Final

from qanat.contract.statuses import AnalysisStatus as Status
from qanat.contract.statuses import Phase


class Event(StrEnum):
    """What can happen to an analysis."""

    INPUTS_REQUESTED = "inputs requested"
    INPUTS_PICKED_UP = "inputs picked up"
    INPUTS_MADE = "inputs made"
    INPUTS_WITHOUT_KEYS = "no location has a key"
    INPUTS_FAILED = "inputs failed"
    INPUTS_CANCELLED = "inputs cancelled"
    LOSSES_REQUESTED = "losses requested"
    LOSSES_PICKED_UP = "losses picked up"
    LOSSES_MADE = "losses made"
    LOSSES_FAILED = "losses failed"
    LOSSES_CANCELLED = "losses cancelled"
    COMBINING_REQUESTED = "combining requested"


INPUTS_MAY_START: Final = (
    Status.NEW,
    Status.INPUTS_GENERATION_ERROR,
    Status.INPUTS_GENERATION_NO_KEYS,
    Status.INPUTS_GENERATION_CANCELLED,
    Status.READY,
    Status.RUN_COMPLETED,
    Status.RUN_CANCELLED,
    Status.RUN_ERROR,
)
LOSSES_MAY_START: Final = (Status.READY, Status.RUN_COMPLETED, Status.RUN_ERROR, Status.RUN_CANCELLED)

TRANSITIONS: Final[dict[tuple[Status, Event], Status]] = {
    **{(status, Event.INPUTS_REQUESTED): Status.INPUTS_GENERATION_QUEUED for status in INPUTS_MAY_START},
    (Status.INPUTS_GENERATION_QUEUED, Event.INPUTS_PICKED_UP): Status.INPUTS_GENERATION_STARTED,
    (Status.INPUTS_GENERATION_STARTED, Event.INPUTS_MADE): Status.READY,
    (Status.INPUTS_GENERATION_STARTED, Event.INPUTS_WITHOUT_KEYS): Status.INPUTS_GENERATION_NO_KEYS,
    # A run can fail before anybody has picked it up: its plan cannot be made, or its first step is set aside.
    (Status.INPUTS_GENERATION_QUEUED, Event.INPUTS_FAILED): Status.INPUTS_GENERATION_ERROR,
    (Status.INPUTS_GENERATION_STARTED, Event.INPUTS_FAILED): Status.INPUTS_GENERATION_ERROR,
    (Status.INPUTS_GENERATION_QUEUED, Event.INPUTS_CANCELLED): Status.INPUTS_GENERATION_CANCELLED,
    (Status.INPUTS_GENERATION_STARTED, Event.INPUTS_CANCELLED): Status.INPUTS_GENERATION_CANCELLED,
    **{(status, Event.LOSSES_REQUESTED): Status.RUN_QUEUED for status in LOSSES_MAY_START},
    (Status.RUN_QUEUED, Event.LOSSES_PICKED_UP): Status.RUN_STARTED,
    # The losses of other analyses are combined: clients see it run at once.
    (Status.NEW, Event.COMBINING_REQUESTED): Status.RUN_STARTED,
    # Generate-and-run goes on from READY without being asked again.
    (Status.READY, Event.LOSSES_PICKED_UP): Status.RUN_STARTED,
    (Status.READY, Event.LOSSES_FAILED): Status.RUN_ERROR,
    (Status.READY, Event.LOSSES_CANCELLED): Status.RUN_CANCELLED,
    (Status.RUN_STARTED, Event.LOSSES_MADE): Status.RUN_COMPLETED,
    (Status.RUN_QUEUED, Event.LOSSES_FAILED): Status.RUN_ERROR,
    (Status.RUN_STARTED, Event.LOSSES_FAILED): Status.RUN_ERROR,
    (Status.RUN_QUEUED, Event.LOSSES_CANCELLED): Status.RUN_CANCELLED,
    (Status.RUN_STARTED, Event.LOSSES_CANCELLED): Status.RUN_CANCELLED,
}

PICKED_UP: Final = {Phase.INPUTS: Event.INPUTS_PICKED_UP, Phase.LOSSES: Event.LOSSES_PICKED_UP}
MADE: Final = {Phase.INPUTS: Event.INPUTS_MADE, Phase.LOSSES: Event.LOSSES_MADE}
FAILED: Final = {Phase.INPUTS: Event.INPUTS_FAILED, Phase.LOSSES: Event.LOSSES_FAILED}
CANCELLED: Final = {Phase.INPUTS: Event.INPUTS_CANCELLED, Phase.LOSSES: Event.LOSSES_CANCELLED}

CANCELLABLE: Final[dict[Status, Phase]] = {
    Status.INPUTS_GENERATION_QUEUED: Phase.INPUTS,
    Status.INPUTS_GENERATION_STARTED: Phase.INPUTS,
    Status.RUN_QUEUED: Phase.LOSSES,
    Status.RUN_STARTED: Phase.LOSSES,
}
"""The statuses in which a client may cancel, with the half of the analysis that is then under way."""


class TransitionRefused(Exception):
    """The status does not permit what was asked."""

    def __init__(self, status: Status, event: Event) -> None:
        """Say which status refused which event, and from where it is allowed."""
        allowed = ", ".join(allowed_from(event))
        super().__init__(f"'{event}' is not possible while the analysis is {status}; it is from: {allowed}")
        self.status = status
        self.event = event


def failed(phase: Phase, *, no_keys: bool) -> Event:
    """Return what happens to an analysis when a half of it fails.

    Args:
        phase: the half.
        no_keys: its worker said that no location has a key, which means something of inputs only: workers may say it of
            any step, and what a worker says must not keep a run from ending.
    """
    return Event.INPUTS_WITHOUT_KEYS if no_keys and phase is Phase.INPUTS else FAILED[phase]


def allowed_from(event: Event) -> tuple[Status, ...]:
    """Return the statuses from which ``event`` is possible, in the order of the table."""
    return tuple(status for status, possible in TRANSITIONS if possible is event)


def after(status: Status, event: Event) -> Status:
    """Return the status that follows ``event``.

    Raises:
        TransitionRefused: the table has no entry for the pair.
    """
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise TransitionRefused(status, event) from None
