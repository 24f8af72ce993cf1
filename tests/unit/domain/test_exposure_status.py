"""The status of a task on a portfolio's exposure, for every status and everything that can happen."""

from itertools import product

import pytest

from qanat.contract.statuses import ExposureStatus
from qanat.domain.exposure_status import Event, TransitionRefused, after

LEADS_TO = {
    Event.REQUESTED: ExposureStatus.STARTED,
    Event.LACKING: ExposureStatus.INSUFFICIENT_DATA,
    Event.MADE: ExposureStatus.RUN_COMPLETED,
    Event.FAILED: ExposureStatus.ERROR,
}


def test_the_statuses_are_those_that_clients_know() -> None:
    assert list(ExposureStatus) == ["NONE", "INSUFFICIENT_DATA", "STARTED", "ERROR", "RUN_COMPLETED"]


@pytest.mark.parametrize(("status", "event"), list(product(ExposureStatus, Event)))
def test_an_event_leads_to_its_status_but_nothing_is_made_that_was_not_started(
    status: ExposureStatus, event: Event
) -> None:
    if event is Event.MADE and status is not ExposureStatus.STARTED:
        with pytest.raises(TransitionRefused, match="'made' is not possible"):
            after(status, event)
        return

    assert after(status, event) == LEADS_TO[event]
