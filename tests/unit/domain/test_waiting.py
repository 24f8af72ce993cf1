"""Why a run waits: the first reason that explains it, and none where it goes on."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from qanat.domain.waiting import (
    RUNG_IN_VAIN,
    Open,
    Reason,
    Service,
    for_plan,
    is_for_workers,
    on_itself,
    on_workers,
)

NOON = datetime(2026, 11, 25, 12, 3, 4, tzinfo=UTC)
DUE = Open(queue="Acme-Wind-1-v2", due=2)
IDLE = Service(workers=2, slots=4, busy=0, ahead=0, last_seen=NOON)


def test_what_was_not_planned_waits_for_the_task_controller() -> None:
    waiting = for_plan(since=NOON)

    assert waiting.reason is Reason.PLAN
    assert waiting.message == "The task controller has not planned it since 2026-11-25 12:03 UTC."


@pytest.mark.parametrize(
    "run",
    [
        replace(DUE, running=1),
        replace(DUE, running=1, again_at=NOON),
        replace(DUE, again_at=NOON),
        replace(DUE, due=0),
        replace(DUE, server_side=True),
    ],
)
def test_what_goes_on_waits_for_nothing_of_its_own(run: Open) -> None:
    assert on_itself(run) is None


@pytest.mark.parametrize(
    ("run", "for_workers"),
    [
        (DUE, True),
        (replace(DUE, again_at=NOON), True),
        (replace(DUE, running=1), False),
        (replace(DUE, due=0, again_at=NOON), False),
        (replace(DUE, server_side=True), False),
    ],
)
def test_workers_matter_where_something_could_be_done_that_nobody_does(run: Open, *, for_workers: bool) -> None:
    assert is_for_workers(run) is for_workers


def test_what_has_failed_waits_for_its_next_try() -> None:
    waiting = on_itself(replace(DUE, due=0, again_at=NOON))

    assert waiting is not None
    assert (waiting.reason, waiting.message) == (
        Reason.RETRY,
        "A sub-task has failed and is tried again at 12:03:04 UTC.",
    )


def test_results_that_nobody_records_wait_for_the_monitor() -> None:
    waiting = on_itself(replace(DUE, server_side=True, rings=RUNG_IN_VAIN))

    assert waiting is not None
    assert waiting.reason is Reason.MONITOR


@pytest.mark.parametrize(
    ("run", "service", "reason", "sentence"),
    [
        (
            DUE,
            Service(workers=0, slots=0, busy=0, ahead=0),
            Reason.NO_WORKER,
            "No worker serves Acme-Wind-1-v2, and none has for a day.",
        ),
        (
            DUE,
            Service(workers=0, slots=0, busy=1, ahead=3, last_seen=NOON),
            Reason.NO_WORKER,
            "No worker serves Acme-Wind-1-v2 since 2026-11-25 12:03 UTC.",
        ),
        (
            DUE,
            Service(workers=0, slots=0, busy=0, ahead=0, stock=True),
            Reason.NO_WORKER,
            "No worker of Acme-Wind-1-v2 answers; one that is busy need not.",
        ),
        (
            DUE,
            replace(IDLE, busy=4, ahead=3),
            Reason.RUNS_AHEAD,
            "3 runs of higher or equal priority are ahead.",
        ),
        (DUE, replace(IDLE, busy=5, ahead=1), Reason.RUNS_AHEAD, "1 run of higher or equal priority is ahead."),
        (DUE, replace(IDLE, busy=4), Reason.WORKERS_BUSY, "All 2 workers of the model are busy."),
        (
            DUE,
            Service(workers=1, slots=1, busy=1, ahead=0),
            Reason.WORKERS_BUSY,
            "The one worker of the model is busy.",
        ),
        (replace(DUE, alone=True), replace(IDLE, busy=2), Reason.WORKERS_BUSY, "All 2 workers of the model are busy."),
        (
            replace(DUE, rings=RUNG_IN_VAIN),
            IDLE,
            Reason.NOT_TAKEN,
            "Workers of Acme-Wind-1-v2 are idle and do not take it, though asked 3 times: see their logs.",
        ),
    ],
)
def test_what_workers_keep_waiting(run: Open, service: Service, reason: Reason, sentence: str) -> None:
    waiting = on_workers(run, service)

    assert waiting is not None
    assert (waiting.reason, waiting.message) == (reason, sentence)


@pytest.mark.parametrize(
    ("run", "service"),
    [
        (DUE, IDLE),
        (DUE, replace(IDLE, busy=3, ahead=2)),
        (replace(DUE, rings=RUNG_IN_VAIN - 1), IDLE),
        (replace(DUE, alone=True), replace(IDLE, busy=1)),
    ],
)
def test_what_somebody_is_about_to_take_waits_for_nothing(run: Open, service: Service) -> None:
    assert on_workers(run, service) is None
