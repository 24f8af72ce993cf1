"""What the engine does, verb by verb."""

import datetime as dt
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from unittest.mock import Mock

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from qanat.contract import tasks
from qanat.contract.statuses import AnalysisStatus, FailureClass, RunKind, RunMode, StepState
from qanat.domain.retries import WORKERS_KILLED
from qanat.server.files.models import StoredFile
from qanat.server.files.storage import storage
from qanat.server.runs import cancellation, claims, clock, dispatch, doorbell, housekeeping, recording
from qanat.server.runs import tasks as engine_tasks
from qanat.server.runs.claims import StepRefused
from qanat.server.runs.commit import commit
from qanat.server.runs.models import Event, Run, Step, StepEdge, Worker, analysis, portfolio
from qanat.server.runs.submission import RunActive
from tests.integration.engine.world import LEASE, QUEUE, START, Held, World

OF_AN_ANALYSIS = (RunKind.INPUTS, RunKind.LOSSES, RunKind.BOTH)
OF_A_PORTFOLIO = (RunKind.VALIDATION, RunKind.EXPOSURE, RunKind.TRANSFORM)


def begin(world: World, **wish: object) -> Held:
    """Submit a run and let a worker claim its first step."""
    world.submit(1, **wish)  # type: ignore[arg-type]
    world.control()
    held = world.deliver(world.messages.pop(0))
    assert held is not None
    return held


@pytest.mark.parametrize("mode", list(RunMode))
@pytest.mark.parametrize("kind", OF_AN_ANALYSIS)
def test_an_undisturbed_run_ends_with_its_analysis_complete(world: World, kind: RunKind, mode: RunMode) -> None:
    if kind is RunKind.LOSSES:
        world.submit(1, kind=RunKind.INPUTS, mode=mode)
        world.work_until_quiet()

    run = world.submit(1, kind=kind, mode=mode, chunks=3)
    world.work_until_quiet()

    run.refresh_from_db()
    expected = AnalysisStatus.READY if kind is RunKind.INPUTS else AnalysisStatus.RUN_COMPLETED
    assert run.state == "succeeded"
    assert world.statuses.status[1] == expected


def test_a_v2_run_has_the_sub_tasks_of_the_contract_in_order(world: World) -> None:
    world.submit(1, kind=RunKind.BOTH, chunks=2)

    world.control()

    slugs = list(Step.objects.values_list("slug", flat=True))
    assert slugs == [
        "prepare-input-generation-params",
        "pre-analysis-hook",
        "prepare-keys-file-0",
        "prepare-keys-file-1",
        "collect-keys",
        "write-input-files",
        "record-input-files",
        "cleanup-input-generation",
        "prepare-losses-generation-params",
        "prepare-losses-generation-directory",
        "generate-losses-chunk-0",
        "generate-losses-chunk-1",
        "generate-losses-output",
        "record-losses-files",
        "cleanup-losses-generation",
    ]
    assert StepEdge.objects.count() == 16


def test_a_second_run_of_an_analysis_is_refused_while_one_is_active(world: World) -> None:
    world.submit(1)

    world.statuses.status[1] = AnalysisStatus.NEW
    with pytest.raises(RunActive):
        world.submit(1)

    assert Run.objects.count() == 1


def test_a_doorbell_heard_twice_gives_the_step_to_one_worker(world: World) -> None:
    world.submit(1)
    world.control()
    message = world.messages[0]

    first = world.deliver(message, worker="w1")
    second = world.deliver(message, worker="w2")

    assert first is not None
    assert second is None


def test_a_step_that_changes_while_it_is_claimed_is_not_given_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.submit(1)
    world.control()
    step = Step.objects.get(pk=world.messages[0].step_id)

    def digest_while_it_changes(step: Step, *, inputs: object) -> str:
        Step.objects.filter(pk=step.pk).update(state=StepState.READY)
        return ""

    monkeypatch.setattr(claims, "digest_of", digest_while_it_changes)

    with pytest.raises(StepRefused, match="rings again"):
        claims.claim(step_id=step.pk, fence=step.fence, worker="w1", lease=LEASE, now=world.now)


def asked(act: Callable[[], object]) -> int:
    """Return how often the database is asked while something is done."""
    with CaptureQueriesContext(connection) as queries:
        act()
    return len(queries)


def test_a_look_asks_no_more_of_the_database_when_more_runs_are_queued(world: World) -> None:
    looks = []
    for analysis_ids in (range(1, 3), range(3, 40)):
        for analysis_id in analysis_ids:
            world.submit(analysis_id)
        world.control()
        looks.append(asked(partial(dispatch.dispatch, now=world.now)))

    assert not Run.objects.filter(state="submitted").exists()
    assert looks[0] == looks[1]


def test_chunks_are_made_ready_and_cancelled_together_however_many_they_are(world: World) -> None:
    made_ready, cancelled = [], []
    for analysis_id, chunks in enumerate((3, 60), start=1):
        world.submit(analysis_id, chunks=chunks)
        ready = Step.objects.filter(slug__startswith="prepare-keys-file", state=StepState.READY)
        while ready.count() < chunks:
            world.control()
            held = world.deliver(world.messages.pop(0))
            if held is not None:
                step = claims.load(held.step_id, fence=held.fence)
                done = partial(commit, step=step, outputs={}, facts={}, resources=None, now=world.now)
                finishing = asked(done)
        made_ready.append(finishing)
        world.control()
        cancelled.append(asked(partial(world.cancel, analysis_id)))

    assert made_ready[0] == made_ready[1]
    assert cancelled[0] == cancelled[1]
    assert Event.objects.filter(event="cancelled").count() == Step.objects.filter(state=StepState.CANCELLED).count()


def test_a_claim_repeated_by_the_same_worker_is_answered_again(world: World) -> None:
    held = begin(world)

    again = claims.claim(step_id=held.step_id, fence=held.fence, worker=held.worker, lease=LEASE, now=world.now)

    assert again.step.attempt == 1


def test_a_commit_repeated_changes_nothing(world: World) -> None:
    held = begin(world)
    assert world.finish(held)
    events = Event.objects.count()

    taken = world.finish(held)

    assert taken
    assert Event.objects.count() == events


def test_a_lost_lease_gives_the_step_to_another_and_refuses_the_first(world: World) -> None:
    held = begin(world)

    world.later(LEASE.total_seconds() + 1)
    world.reap()
    world.control()
    other = world.deliver(world.messages.pop(), worker="w2")

    assert other is not None
    assert other.fence == held.fence + 1
    assert not world.finish(held)
    assert world.finish(other)


def test_a_recording_that_breaks_off_is_done_by_another_after_a_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "QANAT", settings.QANAT.model_copy(update={"lease_seconds": 5}))
    world.finish(begin(world, kind=RunKind.INPUTS, mode=RunMode.V1))
    world.control()
    [message] = world.messages
    with monkeypatch.context() as patch:
        patch.setattr(recording, "commit", Mock(side_effect=OperationalError))
        with pytest.raises(OperationalError):
            engine_tasks.record_step.run(step_id=message.step_id, fence=message.fence)
    world.now = clock.now()

    world.later(6)

    assert world.reap() == 1
    world.work_until_quiet()
    assert world.statuses.status[1] == AnalysisStatus.READY


def test_a_heartbeat_keeps_the_lease(world: World) -> None:
    held = begin(world)

    for _ in range(5):
        world.later(LEASE.total_seconds() * 0.8)
        verdict = claims.heartbeat(step_id=held.step_id, fence=held.fence, lease=LEASE, now=world.now)

    assert verdict == "continue"
    assert world.reap() == 0


def test_the_events_of_all_chunks_add_up(world: World) -> None:
    world.hello("w1", slots=2, draining=False)
    world.submit(1, kind=RunKind.BOTH, chunks=2)
    chunks: list[Held] = []
    while len(chunks) < 2:
        world.control()
        held = world.deliver(world.messages.pop(0))
        if held is not None and Step.objects.get(pk=held.step_id).task == tasks.GENERATE_LOSSES_CHUNK:
            chunks.append(held)
        elif held is not None:
            world.finish(held)

    def say(held: Held, done: int, total: int) -> None:
        used = {"events_done": done, "events_total": total}
        claims.heartbeat(step_id=held.step_id, fence=held.fence, lease=LEASE, now=world.now, resources=used)

    say(chunks[0], 10, 50)
    assert world.statuses.events[1] == (10, 100)
    say(chunks[1], 7, 49)
    assert world.statuses.events[1] == (17, 99)
    world.finish(chunks[0])
    assert world.statuses.events[1] == (57, 99), "a chunk that is done has done its share, whatever its kernel left out"
    world.finish(chunks[1])
    assert world.statuses.events[1] == (99, 99)


def test_a_doorbell_that_nobody_heard_rings_again(world: World) -> None:
    world.submit(1)
    world.control()
    world.messages.clear()

    world.later(10)
    world.control()

    assert len(world.messages) == 1
    assert Step.objects.get(pk=world.messages[0].step_id).fence == world.messages[0].fence


def test_a_broker_that_is_away_delays_but_loses_nothing(world: World) -> None:
    world.broker_is_away = True
    world.submit(1)
    world.control()
    assert not world.messages

    world.broker_is_away = False
    world.work_until_quiet()

    assert world.statuses.status[1] == AnalysisStatus.RUN_COMPLETED


def test_cancelling_ends_everything_at_once(world: World) -> None:
    held = begin(world)

    world.cancel(1)

    assert world.statuses.status[1] == AnalysisStatus.INPUTS_GENERATION_CANCELLED
    assert set(Step.objects.values_list("state", flat=True)) == {StepState.CANCELLED}
    assert not world.finish(held)
    assert claims.heartbeat(step_id=held.step_id, fence=held.fence, lease=LEASE, now=world.now) == "cancel"


@pytest.mark.parametrize(
    ("failure", "attempts"), [(FailureClass.INPUT, 1), (FailureClass.MODEL, 2), (FailureClass.OUT_OF_MEMORY, 2)]
)
def test_a_failing_step_is_tried_as_often_as_its_kind_deserves(
    world: World, failure: FailureClass, attempts: int
) -> None:
    held = begin(world)

    tries = 1
    while world.fail(held, failure):
        tries += 1
        world.control()
        again = world.deliver(world.messages.pop())
        assert again is not None
        held = again

    assert tries == attempts
    assert world.statuses.status[1] == AnalysisStatus.INPUTS_GENERATION_ERROR


def test_infrastructure_failures_are_never_held_against_the_model(world: World) -> None:
    held = begin(world)

    for _ in range(10):
        assert world.fail(held, FailureClass.INFRASTRUCTURE)
        world.later(120)
        world.control()
        again = world.deliver(world.messages.pop())
        assert again is not None
        held = again

    assert world.finish(held)


def test_a_step_that_kills_three_workers_is_set_aside(world: World) -> None:
    begin(world)

    for _ in range(WORKERS_KILLED):
        world.later(LEASE.total_seconds() + 1)
        world.reap()
        world.control()
        while world.messages:
            world.deliver(world.messages.pop())

    assert world.statuses.status[1] == AnalysisStatus.INPUTS_GENERATION_ERROR


def test_after_running_out_of_memory_fewer_processes_are_used(world: World) -> None:
    held = begin(world)

    world.fail(held, FailureClass.OUT_OF_MEMORY)

    assert Step.objects.get(pk=held.step_id).fewer_processes


def test_a_failure_cancels_the_siblings(world: World) -> None:
    world.submit(1, kind=RunKind.INPUTS, chunks=3)
    for _ in range(2):
        world.control()
        held = world.deliver(world.messages.pop(0))
        assert held is not None
        world.finish(held)
    for number in range(3):
        claims.hello(worker=f"w{number}", queues=[QUEUE], slots=1, draining=False, versions={}, now=world.now)
    world.control()
    chunks = [world.deliver(message, worker=f"w{n}") for n, message in enumerate(list(world.messages))]

    assert chunks[0] is not None
    world.fail(chunks[0], FailureClass.INPUT)

    states = list(Step.objects.filter(slug__startswith="prepare-keys-file").values_list("state", flat=True))
    assert states == [StepState.FAILED, StepState.CANCELLED, StepState.CANCELLED]


def test_no_keys_is_a_status_of_its_own(world: World) -> None:
    held = begin(world)

    world.fail(held, FailureClass.INPUT, no_keys=True)

    assert world.statuses.status[1] == AnalysisStatus.INPUTS_GENERATION_NO_KEYS


def test_running_again_after_a_failure_reuses_what_was_done(world: World) -> None:
    world.submit(1, kind=RunKind.BOTH)
    done = 0
    while True:
        world.control()
        message = world.messages.pop(0)
        held = world.deliver(message)
        if held is None:
            continue
        if Step.objects.get(pk=held.step_id).slug == "write-input-files":
            world.fail(held, FailureClass.INPUT)
            break
        world.finish(held)
        done += 1

    run = world.submit(1, kind=RunKind.BOTH)
    world.control()

    reused = Event.objects.filter(run=run, event="reused").count()
    assert reused == done
    world.work_until_quiet()
    assert world.statuses.status[1] == AnalysisStatus.RUN_COMPLETED


def test_nothing_is_reused_whose_outputs_are_gone(world: World) -> None:
    run = world.submit(1, kind=RunKind.INPUTS, chunks=1)
    for _ in range(3):
        world.control()
        held = world.deliver(world.messages.pop(0))
        assert held is not None
        world.finish(held)
    world.cancel(1)
    for step in run.steps.all():
        for ref in step.result.get("outputs", {}).values():
            storage().delete(ref["key"])

    again = world.submit(1, kind=RunKind.INPUTS, chunks=1)
    world.control()

    reused = list(Event.objects.filter(run=again, event="reused").values_list("step__slug", flat=True))
    assert reused == ["prepare-input-generation-params"]


def test_no_more_doorbells_are_out_than_there_are_slots_and_one(world: World) -> None:
    claims.hello(worker="w1", queues=[QUEUE], slots=2, draining=False, versions={}, now=world.now)
    for analysis_id in range(1, 21):
        world.submit(analysis_id)

    world.control()

    assert len(world.messages) == 3


def test_a_doorbell_says_whether_the_step_needs_its_worker_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: dict[str, bool] = {}

    def ring(*, payload: dict[str, int], **_: object) -> bool:
        heard[Step.objects.get(pk=payload["step_id"]).slug] = bool(payload["alone"])
        return True

    monkeypatch.setattr(doorbell, "ring", ring)
    claims.hello(worker="w1", queues=[QUEUE], slots=2, draining=False, versions={}, now=world.now)
    world.submit(1, kind=RunKind.INPUTS, mode=RunMode.V1)
    world.submit(2, kind=RunKind.INPUTS)

    world.control()

    assert heard == {"generate-input": True, "prepare-input-generation-params": False}


def test_what_was_short_of_memory_is_tried_again_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bool] = []
    held = begin(world)
    world.fail(held, FailureClass.OUT_OF_MEMORY)

    def ring(*, payload: dict[str, int], **_: object) -> bool:
        heard.append(bool(payload["alone"]))
        return True

    monkeypatch.setattr(doorbell, "ring", ring)
    world.later(5)
    world.control()

    assert heard == [True]


def test_the_most_urgent_run_goes_first(world: World) -> None:
    for analysis_id in (1, 2, 3):
        world.submit(analysis_id)
    Run.objects.filter(analysis_id=3).update(priority=9)

    world.control()

    first = Step.objects.get(pk=world.messages[0].step_id)
    assert first.run.analysis_id == 3


def test_a_worker_that_drains_hands_back_without_a_failure(world: World) -> None:
    held = begin(world)

    claims.hand_back(step_id=held.step_id, fence=held.fence, now=world.now)

    step = Step.objects.get(pk=held.step_id)
    assert step.state == StepState.READY
    assert step.fence == held.fence + 1
    assert step.failures == {}


def test_a_new_worker_makes_unheard_doorbells_ring_at_once(world: World) -> None:
    world.submit(1)
    world.control()
    world.messages.clear()

    claims.hello(worker="w9", queues=[QUEUE], slots=1, draining=False, versions={}, now=world.now)
    world.control()

    assert len(world.messages) == 1


def test_logs_come_in_pieces_and_none_is_kept_twice(world: World) -> None:
    held = begin(world)

    claims.append_log(claims.held(step_id=held.step_id, fence=held.fence), offset=0, text=b"one\n")
    claims.append_log(claims.held(step_id=held.step_id, fence=held.fence), offset=0, text=b"one\ntwo\n")
    world.finish(held)

    step = Step.objects.get(pk=held.step_id)
    with storage().open(step.output_log) as log:
        assert log.read() == b"one\ntwo\n"


def test_a_step_of_a_deleted_analysis_is_refused(world: World) -> None:
    from qanat.server.runs.cancellation import forget  # noqa: PLC0415

    held = begin(world)

    forget(owner=analysis(1))

    with pytest.raises(StepRefused):
        claims.held(step_id=held.step_id, fence=held.fence)


def test_the_database_is_the_one_asked_for(world: World) -> None:
    del world

    asked = settings.QANAT.database_url

    assert connection.vendor == ("postgresql" if asked else "sqlite")


def test_a_run_that_cannot_be_planned_fails_and_keeps_no_other_back(world: World) -> None:
    broken, sound = world.submit(1), world.submit(2)
    Run.objects.filter(pk=broken.pk).update(plan={"rows": 10})

    world.work_until_quiet()

    broken.refresh_from_db()
    sound.refresh_from_db()
    assert (broken.state, sound.state) == ("failed", "succeeded")
    assert "could not be planned" in broken.error["message"]
    assert world.statuses.status[1].endswith("_ERROR")


def test_workers_that_have_not_been_seen_for_a_day_are_forgotten(world: World) -> None:
    Worker.objects.create(id="old", last_seen=START - dt.timedelta(days=1, seconds=1))
    Worker.objects.create(id="young", last_seen=START)

    housekeeping.tidy(now=START)

    assert [worker.pk for worker in Worker.objects.all()] == ["young"]


def clean_up_only_is_left(world: World, *, kind: RunKind = RunKind.INPUTS) -> Held:
    """Work until the inputs are recorded; return the step that cleans up after them."""
    world.submit(1, kind=kind)
    while True:
        world.control()
        held = world.deliver(world.messages.pop(0))
        if held is not None and Step.objects.get(pk=held.step_id).slug == "cleanup-input-generation":
            return held
        if held is not None:
            world.finish(held)


def test_losses_may_be_asked_for_while_the_inputs_clean_up(world: World) -> None:
    held = clean_up_only_is_left(world)

    world.submit(1, kind=RunKind.LOSSES)

    assert not world.finish(held)
    world.work_until_quiet()
    assert world.statuses.status[1] == AnalysisStatus.RUN_COMPLETED
    assert set(Run.objects.values_list("state", flat=True)) == {"succeeded"}


def test_a_run_that_only_cleans_up_cannot_be_cancelled(world: World) -> None:
    held = clean_up_only_is_left(world)

    assert world.cancel(1) is None

    assert world.statuses.status[1] == AnalysisStatus.READY
    assert world.finish(held)


def test_a_run_whose_cleaning_up_fails_has_succeeded(world: World) -> None:
    held = clean_up_only_is_left(world)

    assert world.fail(held, FailureClass.INPUT) is False

    assert Run.objects.get().state == "succeeded"
    assert world.statuses.status[1] == AnalysisStatus.READY


def test_cleaning_up_that_fails_between_inputs_and_losses_ends_the_losses(world: World) -> None:
    held = clean_up_only_is_left(world, kind=RunKind.BOTH)

    assert world.fail(held, FailureClass.INPUT) is False

    assert Run.objects.get().state == "failed"
    assert world.statuses.status[1] == AnalysisStatus.RUN_ERROR


def test_a_run_that_has_succeeded_leaves_its_results_and_its_logs(
    world: World, django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[object]]
) -> None:
    held = begin(world, kind=RunKind.INPUTS)
    orphan = f"{claims.attempt_prefix(claims.held(step_id=held.step_id, fence=held.fence))}/of-a-refused-attempt"
    storage().write(orphan, [b"x"])
    claims.append_log(claims.held(step_id=held.step_id, fence=held.fence), offset=0, text=b"line")
    world.finish(held)

    with django_capture_on_commit_callbacks(execute=True):
        world.work_until_quiet()

    run = Run.objects.get()
    left = set(storage().keys(claims.run_prefix(run.pk)))
    logs = {key for key in run.steps.values_list("output_log", flat=True) if key}
    assert left == logs | set(StoredFile.objects.values_list("key", flat=True))
    assert logs
    assert StoredFile.objects.exists()
    assert orphan not in left


@pytest.mark.parametrize("kind", OF_A_PORTFOLIO)
def test_an_undisturbed_run_of_a_portfolio_leaves_its_results(world: World, kind: RunKind) -> None:
    run = world.submit_internal(portfolio(1), kind=kind)

    world.work_until_quiet()

    run.refresh_from_db()
    assert run.state == "succeeded"
    assert set(world.statuses.outputs) == {portfolio(1)}


def test_runs_of_a_portfolio_go_side_by_side_where_they_are_of_different_kinds(world: World) -> None:
    for kind in OF_A_PORTFOLIO:
        world.submit_internal(portfolio(1), kind=kind)

    with pytest.raises(RunActive, match="The portfolio is being run already"):
        world.submit_internal(portfolio(1), kind=RunKind.VALIDATION)
    world.submit(1, kind=RunKind.INPUTS)

    world.work_until_quiet()
    assert list(Run.objects.values_list("state", flat=True)) == ["succeeded"] * 4


def test_a_run_that_succeeds_leaves_what_those_of_another_kind_have_made(world: World) -> None:
    exposure = world.submit_internal(portfolio(1), kind=RunKind.EXPOSURE)
    world.control()
    held = world.deliver(world.messages.pop(0))
    assert held is not None
    world.finish(held)

    world.submit_internal(portfolio(1), kind=RunKind.VALIDATION)
    world.work_until_quiet()

    exposure.refresh_from_db()
    assert exposure.state == "succeeded"
    assert all(storage().exists(ref.key) for ref in world.statuses.outputs[portfolio(1)].values())


def test_the_internal_worker_is_told_on_its_own_queue(world: World) -> None:
    world.submit_internal(portfolio(1), kind=RunKind.VALIDATION)

    world.control()

    assert [message.queue for message in world.messages] == ["oasis-internal-worker"]


def test_forgetting_a_portfolio_leaves_the_runs_of_the_analysis_with_its_number(world: World) -> None:
    world.submit(1)
    world.submit_internal(portfolio(1), kind=RunKind.VALIDATION)

    cancellation.forget(owner=portfolio(1))

    assert [run.owner for run in Run.objects.all()] == [analysis(1)]
