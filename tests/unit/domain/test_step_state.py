"""A step moves along its table, for every state and everything that can happen."""

from contextlib import suppress
from itertools import product

import pytest

from qanat.contract.statuses import StepState, SubTaskStatus
from qanat.domain import step_state
from qanat.domain.step_state import Event, StepTransitionRefused, after

# One line an event: from which states it leads where. What is not here is refused.
MOVES: dict[Event, dict[str, str]] = {
    Event.PARENTS_DONE: {"waiting": "ready"},
    Event.RUNG: {"ready": "sent", "sent": "sent"},
    Event.CLAIMED: {"ready": "running", "sent": "running"},
    Event.COMMITTED: {"running": "succeeded"},
    Event.REUSED: {"waiting": "succeeded", "ready": "succeeded"},
    Event.FAILED: {"running": "failed"},
    Event.HANDED_BACK: {"running": "ready"},
    Event.CANCELLED: dict.fromkeys(["waiting", "ready", "sent", "running"], "cancelled"),
}
ENDS = ("succeeded", "failed", "cancelled")
PAIRS = list(product(StepState, Event))


@pytest.mark.parametrize(("state", "event"), PAIRS, ids=[f"{state}-{event.name}" for state, event in PAIRS])
def test_an_event_leads_where_it_should_or_is_refused(state: StepState, event: Event) -> None:
    expected = MOVES[event].get(state)

    reached = None
    with suppress(StepTransitionRefused):
        reached = str(after(state, event))

    assert reached == expected


def test_every_event_has_its_moves() -> None:
    assert set(MOVES) == set(Event)


@pytest.mark.parametrize(("state", "event"), list(product(ENDS, Event)))
def test_what_has_ended_stays_as_it_ended(state: str, event: Event) -> None:
    with pytest.raises(StepTransitionRefused, match=f"a step that is {state} cannot be {event}"):
        after(StepState(state), event)


def test_the_unfinished_states_are_all_that_are_no_end() -> None:
    assert set(step_state.UNFINISHED) == set(StepState) - {StepState(end) for end in ENDS}
    assert len(step_state.UNFINISHED) == 4


def test_whatever_is_unfinished_can_be_cancelled() -> None:
    assert set(step_state.sources(Event.CANCELLED)) == set(step_state.UNFINISHED)


def test_a_step_may_be_claimed_once_its_doorbell_may_have_rung() -> None:
    assert set(step_state.CLAIMABLE) == set(step_state.sources(Event.CLAIMED))


@pytest.mark.parametrize("event", Event)
def test_the_sources_of_an_event_are_the_states_that_permit_it(event: Event) -> None:
    sources = step_state.sources(event)

    assert sorted(sources) == sorted(MOVES[event])


def test_clients_see_each_state_under_a_name_of_the_contract() -> None:
    shown = {str(state): str(status) for state, status in step_state.SHOWN_AS.items()}

    assert shown == {
        "waiting": "PENDING",
        "ready": "QUEUED",
        "sent": "QUEUED",
        "running": "STARTED",
        "succeeded": "COMPLETED",
        "failed": "ERROR",
        "cancelled": "CANCELLED",
    }
    assert set(shown.values()) == {str(status) for status in SubTaskStatus}


ORDER = ["PENDING", "QUEUED", "STARTED", "COMPLETED", "ERROR", "CANCELLED"]


@pytest.mark.parametrize("event", [event for event in Event if event is not Event.HANDED_BACK])
def test_clients_see_a_step_go_forward_only_unless_it_is_handed_back(event: Event) -> None:
    moves = [(state, after(state, event)) for state in step_state.sources(event)]

    seen = [(ORDER.index(step_state.SHOWN_AS[a]), ORDER.index(step_state.SHOWN_AS[b])) for a, b in moves]

    assert all(before <= behind for before, behind in seen)
