"""What runs have left goes long after their end, and never while anything under way may need it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from pytest_django import Settings

from qanat.contract.statuses import FailureClass, RunKind
from qanat.server.files.models import StoredFile, Unsettled
from qanat.server.files.storage import storage
from qanat.server.runs import cancellation, claims, clearing, clock
from qanat.server.runs.housekeeping import tidy
from qanat.server.runs.models import Run, Step, analysis
from tests.integration.engine.world import Held, World

AFTER = timedelta(days=91)
A_DAY = timedelta(days=1, minutes=1)
Captured = Callable[..., AbstractContextManager[object]]


@pytest.fixture(autouse=True)
def real_time(world: World) -> None:
    """Have the engine's clock show the time: notes carry it."""
    world.now = clock.now()


def left(run: Run) -> set[str]:
    return set(storage().keys(claims.run_prefix(run.pk)))


def log(held: Held) -> None:
    claims.append_log(step_id=held.step_id, fence=held.fence, offset=0, text=b"a line")


def failed_run(world: World) -> Run:
    """Return a run whose second step has failed for good, with outputs and logs in storage."""
    run = world.submit(1, kind=RunKind.INPUTS, chunks=1)
    world.control()
    first = world.deliver(world.messages.pop(0))
    assert first is not None
    log(first)
    world.finish(first)
    world.control()
    second = world.deliver(world.messages.pop(0))
    assert second is not None
    log(second)
    world.fail(second, FailureClass.INPUT)
    run.refresh_from_db()
    assert run.state == "failed"
    return run


def test_what_a_failed_run_has_left_is_forgotten_then_removed(world: World) -> None:
    run = failed_run(world)
    assert left(run)

    tidy(now=world.now + AFTER)

    assert left(run)
    assert set(run.steps.values_list("digest", "output_log", "error_log", "retry_log")) == {("", "", "", "")}

    tidy(now=world.now + AFTER + A_DAY)

    assert left(run) == set()
    assert not Unsettled.objects.exists()


def test_until_then_it_stays(world: World) -> None:
    run = failed_run(world)
    before = left(run)

    for days in (1, 30, 89):
        tidy(now=world.now + timedelta(days=days))

    assert left(run) == before
    assert run.steps.exclude(output_log="").exists()


def test_a_site_says_how_long(world: World, settings: Settings) -> None:
    settings.QANAT = settings.QANAT.model_copy(update={"keep_run_files": timedelta(days=2)})
    run = failed_run(world)

    tidy(now=world.now + timedelta(days=3))
    tidy(now=world.now + timedelta(days=3) + A_DAY)

    assert left(run) == set()


def test_files_of_the_analysis_stay_and_its_old_logs_go(
    world: World, django_capture_on_commit_callbacks: Captured
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        run = world.submit(1, kind=RunKind.INPUTS)
        world.control()
        held = world.deliver(world.messages.pop(0))
        assert held is not None
        log(held)
        world.finish(held)
        world.work_until_quiet()
    results = set(StoredFile.objects.values_list("key", flat=True))
    assert left(run) > results

    tidy(now=world.now + AFTER)
    tidy(now=world.now + AFTER + A_DAY)

    assert left(run) == results


def test_while_the_next_run_is_under_way_nothing_is_forgotten(world: World) -> None:
    run = failed_run(world)
    world.submit(1, kind=RunKind.INPUTS, chunks=1)

    tidy(now=world.now + AFTER)

    run.refresh_from_db()
    assert not run.cleared
    assert run.steps.exclude(digest="").exists()


def test_what_a_run_that_was_being_planned_has_taken_over_stays_while_it_needs_it(world: World) -> None:
    run = failed_run(world)
    digests = dict(run.steps.values_list("pk", "digest"))
    tidy(now=world.now + AFTER)
    # Its planner has read them before they were forgotten.
    for pk, digest in digests.items():
        Step.objects.filter(pk=pk).update(digest=digest)
    again = world.submit(1, kind=RunKind.INPUTS, chunks=1)
    world.control()
    assert again.steps.filter(events__event="reused").exists()
    before = left(run)

    tidy(now=world.now + AFTER + A_DAY)

    assert left(run) == before
    world.messages.clear()
    world.now += timedelta(minutes=2)
    world.work_until_quiet()
    again.refresh_from_db()
    assert again.state == "succeeded"


def test_logs_that_a_later_run_has_taken_over_stay_as_long_as_its_own(world: World) -> None:
    run = failed_run(world)
    again = world.submit(1, kind=RunKind.INPUTS, chunks=1)
    world.control()
    cancellation.cancel(owner=analysis(1), now=world.now + timedelta(days=80))
    taken_over = set(again.steps.exclude(output_log="").values_list("output_log", flat=True))
    assert taken_over
    assert taken_over < left(run)

    tidy(now=world.now + AFTER)
    tidy(now=world.now + AFTER + A_DAY)
    assert left(run) == taken_over

    tidy(now=world.now + 2 * AFTER)
    tidy(now=world.now + 2 * AFTER + A_DAY)
    tidy(now=world.now + 2 * AFTER + 2 * A_DAY)
    assert left(run) == set()


def test_a_tick_forgets_so_many_and_leaves_the_rest_to_the_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "AT_ONCE", 2)
    for number in range(3):
        world.submit(number, kind=RunKind.INPUTS)
        cancellation.cancel(owner=analysis(number), now=world.now)

    assert [clearing.forget_old(now=world.now + AFTER) for _ in range(3)] == [2, 1, 0]


def test_a_run_that_cannot_be_forgotten_keeps_no_other_from_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "AT_ONCE", 1)
    busy = failed_run(world)
    world.submit(1, kind=RunKind.INPUTS)
    world.submit(2, kind=RunKind.INPUTS)
    cancellation.cancel(owner=analysis(2), now=world.now + timedelta(hours=1))

    assert clearing.forget_old(now=world.now + AFTER) == 1

    busy.refresh_from_db()
    assert not busy.cleared


def test_what_a_worker_writes_for_a_run_that_was_deleted_goes(
    world: World, django_capture_on_commit_callbacks: Captured
) -> None:
    run = failed_run(world)
    with django_capture_on_commit_callbacks(execute=True):
        cancellation.forget(owner=analysis(1))
    assert left(run) == set()
    storage().write(f"{claims.run_prefix(run.pk)}/late", [b"x"])

    tidy(now=world.now + A_DAY)

    assert left(run) == set()
    assert not Unsettled.objects.exists()


def test_what_a_deleted_run_has_left_goes_though_its_remover_was_killed(
    world: World, django_capture_on_commit_callbacks: Captured
) -> None:
    run = failed_run(world)
    with django_capture_on_commit_callbacks(execute=False):  # killed after the commit
        cancellation.forget(owner=analysis(1))
    assert left(run)

    tidy(now=world.now + A_DAY)

    assert left(run) == set()


def test_what_steps_have_handed_on_is_kept_where_a_site_says_so(
    world: World, django_capture_on_commit_callbacks: Captured, settings: Settings
) -> None:
    settings.QANAT = settings.QANAT.model_copy(update={"keep_remote_data": True})
    with django_capture_on_commit_callbacks(execute=True):
        run = world.submit(1, kind=RunKind.INPUTS, chunks=2)
        world.work_until_quiet()

    keys = {key.rpartition("/")[2] for key in left(run)}
    assert keys - {key.rpartition("/")[2] for key in StoredFile.objects.values_list("key", flat=True)}
