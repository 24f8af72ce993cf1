"""The status of an analysis follows the wire contract, for every status and everything that can happen."""

from contextlib import suppress
from itertools import product

import pytest

from qanat.contract.statuses import AnalysisStatus, Phase
from qanat.domain import analysis_status
from qanat.domain.analysis_status import Event, TransitionRefused, after, allowed_from

# The tables of the wire contract once more, as clients know them: what may be asked for (section 2.2) and what comes of
# it (section 2.3), by status. What is not here is refused.
CONTRACT: dict[str, dict[str, str]] = {
    "NEW": {"INPUTS_REQUESTED": "INPUTS_GENERATION_QUEUED", "COMBINING_REQUESTED": "RUN_STARTED"},
    "INPUTS_GENERATION_QUEUED": {
        "INPUTS_PICKED_UP": "INPUTS_GENERATION_STARTED",
        "INPUTS_FAILED": "INPUTS_GENERATION_ERROR",
        "INPUTS_CANCELLED": "INPUTS_GENERATION_CANCELLED",
    },
    "INPUTS_GENERATION_STARTED": {
        "INPUTS_MADE": "READY",
        "INPUTS_WITHOUT_KEYS": "INPUTS_GENERATION_NO_KEYS",
        "INPUTS_FAILED": "INPUTS_GENERATION_ERROR",
        "INPUTS_CANCELLED": "INPUTS_GENERATION_CANCELLED",
    },
    "INPUTS_GENERATION_ERROR": {"INPUTS_REQUESTED": "INPUTS_GENERATION_QUEUED"},
    "INPUTS_GENERATION_NO_KEYS": {"INPUTS_REQUESTED": "INPUTS_GENERATION_QUEUED"},
    "INPUTS_GENERATION_CANCELLED": {"INPUTS_REQUESTED": "INPUTS_GENERATION_QUEUED"},
    "READY": {
        "INPUTS_REQUESTED": "INPUTS_GENERATION_QUEUED",
        "LOSSES_REQUESTED": "RUN_QUEUED",
        # Generate-and-run is in its second half without being asked: it never shows RUN_QUEUED.
        "LOSSES_PICKED_UP": "RUN_STARTED",
        "LOSSES_FAILED": "RUN_ERROR",
        "LOSSES_CANCELLED": "RUN_CANCELLED",
    },
    "RUN_QUEUED": {
        "LOSSES_PICKED_UP": "RUN_STARTED",
        "LOSSES_FAILED": "RUN_ERROR",
        "LOSSES_CANCELLED": "RUN_CANCELLED",
    },
    "RUN_STARTED": {
        "LOSSES_MADE": "RUN_COMPLETED",
        "LOSSES_FAILED": "RUN_ERROR",
        "LOSSES_CANCELLED": "RUN_CANCELLED",
    },
    "RUN_COMPLETED": {"INPUTS_REQUESTED": "INPUTS_GENERATION_QUEUED", "LOSSES_REQUESTED": "RUN_QUEUED"},
    "RUN_ERROR": {"INPUTS_REQUESTED": "INPUTS_GENERATION_QUEUED", "LOSSES_REQUESTED": "RUN_QUEUED"},
    "RUN_CANCELLED": {"INPUTS_REQUESTED": "INPUTS_GENERATION_QUEUED", "LOSSES_REQUESTED": "RUN_QUEUED"},
}
PAIRS = list(product(AnalysisStatus, Event))


def walk(*events: Event) -> list[str]:
    """Return the statuses that a new analysis goes through."""
    status = AnalysisStatus.NEW
    return [status := after(status, event) for event in events]


def test_the_statuses_are_those_that_clients_know() -> None:
    assert sorted(AnalysisStatus) == sorted(CONTRACT)


@pytest.mark.parametrize(("status", "event"), PAIRS, ids=[f"{status}-{event.name}" for status, event in PAIRS])
def test_an_event_leads_where_the_contract_says_or_is_refused(status: AnalysisStatus, event: Event) -> None:
    expected = CONTRACT[status].get(event.name)

    reached = None
    with suppress(TransitionRefused):
        reached = str(after(status, event))

    assert reached == expected


def test_every_status_can_be_reached_from_a_new_analysis() -> None:
    reached = {AnalysisStatus.NEW}

    for _ in AnalysisStatus:
        reached |= {to for (status, _), to in analysis_status.TRANSITIONS.items() if status in reached}

    assert reached == set(AnalysisStatus)


def test_every_status_has_a_way_on_so_that_no_analysis_is_stuck() -> None:
    stuck = {
        status for status in AnalysisStatus if not any(source is status for source, _ in analysis_status.TRANSITIONS)
    }

    assert stuck == set()


def test_generate_and_run_visits_what_the_contract_lists_and_never_run_queued() -> None:
    visited = walk(
        Event.INPUTS_REQUESTED,
        Event.INPUTS_PICKED_UP,
        Event.INPUTS_MADE,
        Event.LOSSES_PICKED_UP,
        Event.LOSSES_MADE,
    )

    assert visited == ["INPUTS_GENERATION_QUEUED", "INPUTS_GENERATION_STARTED", "READY", "RUN_STARTED", "RUN_COMPLETED"]


@pytest.mark.parametrize("late", [Event.INPUTS_FAILED, Event.INPUTS_MADE, Event.LOSSES_FAILED, Event.LOSSES_MADE])
@pytest.mark.parametrize("ended", ["INPUTS_GENERATION_CANCELLED", "RUN_CANCELLED", "INPUTS_GENERATION_NO_KEYS"])
def test_what_comes_late_never_overwrites_a_cancelled_analysis_or_one_without_keys(ended: str, late: Event) -> None:
    status = AnalysisStatus(ended)

    with pytest.raises(TransitionRefused):
        after(status, late)


def test_a_refusal_tells_the_user_what_was_asked_and_from_where_it_is_possible() -> None:
    with pytest.raises(TransitionRefused) as caught:
        after(AnalysisStatus.NEW, Event.LOSSES_REQUESTED)

    assert (caught.value.status, caught.value.event) == (AnalysisStatus.NEW, Event.LOSSES_REQUESTED)
    assert str(caught.value) == (
        "'losses requested' is not possible while the analysis is NEW; "
        "it is from: READY, RUN_COMPLETED, RUN_ERROR, RUN_CANCELLED"
    )


@pytest.mark.parametrize("event", Event)
def test_the_statuses_that_allow_an_event_are_those_of_the_contract(event: Event) -> None:
    expected = {status for status, events in CONTRACT.items() if event.name in events}

    allowed = allowed_from(event)

    assert set(allowed) == expected
    assert len(allowed) == len(expected)


def test_inputs_and_losses_may_start_from_where_the_contract_says() -> None:
    inputs = {status for status, events in CONTRACT.items() if "INPUTS_REQUESTED" in events}
    losses = {status for status, events in CONTRACT.items() if "LOSSES_REQUESTED" in events}

    assert set(analysis_status.INPUTS_MAY_START) == inputs
    assert set(analysis_status.LOSSES_MAY_START) == losses


def test_clients_may_cancel_what_is_queued_or_started_and_nothing_else() -> None:
    cancellable = {str(status): str(phase) for status, phase in analysis_status.CANCELLABLE.items()}

    assert cancellable == {
        "INPUTS_GENERATION_QUEUED": "inputs",
        "INPUTS_GENERATION_STARTED": "inputs",
        "RUN_QUEUED": "losses",
        "RUN_STARTED": "losses",
    }


@pytest.mark.parametrize("status", analysis_status.CANCELLABLE)
def test_what_may_be_cancelled_ends_as_cancelled_in_its_own_half(status: AnalysisStatus) -> None:
    phase = analysis_status.CANCELLABLE[status]

    cancelled = after(status, analysis_status.CANCELLED[phase])

    assert cancelled == {Phase.INPUTS: "INPUTS_GENERATION_CANCELLED", Phase.LOSSES: "RUN_CANCELLED"}[phase]


@pytest.mark.parametrize("phase", [Phase.INPUTS, Phase.LOSSES])
def test_each_half_has_events_of_its_own(phase: Phase) -> None:
    tables = [analysis_status.PICKED_UP, analysis_status.MADE, analysis_status.FAILED, analysis_status.CANCELLED]

    names = [table[phase].name for table in tables]

    half = phase.name
    assert names == [f"{half}_PICKED_UP", f"{half}_MADE", f"{half}_FAILED", f"{half}_CANCELLED"]


@pytest.mark.parametrize(
    ("phase", "no_keys", "event"),
    [
        (Phase.INPUTS, False, Event.INPUTS_FAILED),
        (Phase.INPUTS, True, Event.INPUTS_WITHOUT_KEYS),
        (Phase.LOSSES, False, Event.LOSSES_FAILED),
        (Phase.LOSSES, True, Event.LOSSES_FAILED),
    ],
)
def test_only_inputs_fail_for_want_of_keys(*, phase: Phase, no_keys: bool, event: Event) -> None:
    assert analysis_status.failed(phase, no_keys=no_keys) is event
