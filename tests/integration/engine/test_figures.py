"""How the engine is doing, as those see it who watch over it."""

from collections.abc import Mapping

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from qanat.contract import queues
from qanat.contract.statuses import FailureClass, RunState, StepState
from qanat.domain.retries import LONGEST_DELAY_SECONDS
from qanat.server.counting import counters
from qanat.server.runs.figures import QUIET_LEASES, Figures, QueueFigures, figures
from qanat.server.runs.models import Run, Step
from tests.integration.engine.world import LEASE, QUEUE, Held, World

QUIET_SECONDS = (QUIET_LEASES + 1) * LEASE.total_seconds()


def figures_of(world: World) -> Figures:
    return figures(now=world.now, lease=LEASE)


def queue_of(world: World) -> QueueFigures:
    return figures_of(world).queues[QUEUE]


def claimed(world: World, *, worker: str = "w1") -> Held:
    world.control()
    held = world.deliver(world.messages.pop(0), worker=worker)
    assert held is not None
    return held


def counted(name: str, **labels: str) -> float:
    return counters.COUNTED.get_sample_value(name, labels) or 0.0


def stuck(world: World) -> Mapping[str, int]:
    return {name: queue.stuck_runs for name, queue in figures_of(world).queues.items() if queue.stuck_runs}


def test_without_runs_and_workers_there_is_nothing_to_tell(world: World) -> None:
    found = figures_of(world)

    assert found == Figures(runs=dict.fromkeys(list(RunState), 0), oldest_unplanned=0.0, longest_overdue=0.0, queues={})


def test_runs_are_counted_by_state(world: World) -> None:
    world.submit(1)
    world.work_until_quiet()
    world.submit(2)
    world.control()
    world.submit(3)

    runs = figures_of(world).runs

    assert runs == {
        RunState.SUBMITTED: 1,
        RunState.ACTIVE: 1,
        RunState.SUCCEEDED: 1,
        RunState.FAILED: 0,
        RunState.CANCELLED: 0,
    }


def test_a_run_that_nobody_plans_waits_longer_and_longer(world: World) -> None:
    world.submit(1)
    world.later(70)
    world.submit(2)

    assert figures_of(world).oldest_unplanned == 70
    world.control()
    assert figures_of(world).oldest_unplanned == 0


def test_a_queue_tells_its_steps_by_state_and_how_long_the_oldest_waits(world: World) -> None:
    world.submit(1)
    world.control()
    world.later(30)

    queue = queue_of(world)

    assert (queue.depth, queue.steps[StepState.SENT], queue.steps[StepState.RUNNING]) == (1, 1, 0)
    assert queue.steps[StepState.WAITING] > 1
    assert queue.oldest_wait == 30


def test_what_is_tried_again_later_does_not_wait_yet(world: World) -> None:
    world.submit(1)
    held = claimed(world)
    for _ in range(4):
        world.fail(held, FailureClass.INFRASTRUCTURE)
        world.later(10)
        held = claimed(world)
    world.fail(held, FailureClass.INFRASTRUCTURE)

    world.later(1)

    assert (queue_of(world).depth, queue_of(world).oldest_wait) == (1, 0)


def test_workers_are_counted_where_they_live_and_take_new_steps(world: World) -> None:
    world.hello("gone", slots=8, draining=False)
    world.later(61)
    world.hello("first", slots=2, draining=False)
    world.hello("second", slots=3, draining=False)
    world.hello("leaving", slots=4, draining=True)

    assert (queue_of(world).workers, queue_of(world).slots) == (2, 5)


def test_a_queue_with_steps_and_no_worker_has_none(world: World) -> None:
    world.submit(1)
    world.control()

    assert queue_of(world).workers == 0


def test_the_worker_monitors_own_queue_is_not_told_to_lack_workers(world: World) -> None:
    world.submit(1)
    world.control()

    assert figures_of(world).queues[queues.V2_RECORDS].workers is None


def test_a_lease_that_nobody_reaps_is_told(world: World) -> None:
    world.submit(1)
    claimed(world)
    world.later(LEASE.total_seconds() + 25)

    assert figures_of(world).longest_overdue == 25
    world.reap()
    assert figures_of(world).longest_overdue == 0


def test_a_run_is_stuck_that_nobody_takes_though_a_worker_lives(world: World) -> None:
    world.submit(1)
    world.control()
    world.later(QUIET_SECONDS)
    world.control()
    world.hello("w1", slots=2, draining=False)

    assert stuck(world) == {QUEUE: 1}


@pytest.mark.parametrize("seconds", [0, QUIET_LEASES * LEASE.total_seconds() - 1])
def test_a_run_is_not_stuck_before_it_was_quiet_for_some_leases(world: World, seconds: float) -> None:
    world.hello("w1", slots=2, draining=False)
    world.submit(1)
    world.control()
    world.later(seconds)
    world.hello("w1", slots=2, draining=False)

    assert stuck(world) == {}


def test_a_run_that_waits_for_a_worker_is_not_stuck(world: World) -> None:
    world.submit(1)
    world.control()
    world.later(QUIET_SECONDS)

    assert stuck(world) == {}


def test_a_run_that_waits_behind_another_is_not_stuck(world: World) -> None:
    world.submit(1)
    held = claimed(world)
    world.submit(2)
    world.control()
    for _ in range(QUIET_LEASES + 1):
        world.later(LEASE.total_seconds() / 2)
        world.heartbeat(held)
        world.later(LEASE.total_seconds() / 2)
        world.heartbeat(held)
    world.hello("w1", slots=1, draining=False)

    assert stuck(world) == {}


def test_a_run_whose_worker_gives_signs_of_life_is_not_stuck(world: World) -> None:
    world.submit(1)
    held = claimed(world)
    world.later(LEASE.total_seconds() / 2)
    world.heartbeat(held)
    world.later(QUIET_SECONDS - LEASE.total_seconds())

    assert stuck(world) == {}


def test_a_run_of_which_a_part_was_just_done_is_not_stuck_though_nobody_has_taken_the_next(world: World) -> None:
    world.hello("w1", slots=2, draining=False)
    world.submit(1, chunks=2)
    world.control()
    while len(world.messages) < 2:
        assert world.finish(claimed(world))
        world.control()
    held = claimed(world)
    for _ in range(2 * QUIET_LEASES + 2):
        world.later(LEASE.total_seconds() / 2)
        world.heartbeat(held)
    world.finish(held)
    world.hello("w1", slots=1, draining=False)

    assert (queue_of(world).steps[StepState.RUNNING], queue_of(world).depth) == (0, 1)
    assert stuck(world) == {}


def test_a_run_whose_step_is_held_off_is_not_stuck(world: World) -> None:
    world.submit(1)
    held = claimed(world)
    for _ in range(7):
        world.fail(held, FailureClass.INFRASTRUCTURE)
        world.later(LONGEST_DELAY_SECONDS)
        held = claimed(world)
    world.fail(held, FailureClass.INFRASTRUCTURE)
    world.hello("w1", slots=1, draining=False)
    world.later(LONGEST_DELAY_SECONDS - 5)

    found = figures(now=world.now, lease=LEASE / 6).queues[QUEUE]

    assert (found.workers, found.depth, found.stuck_runs) == (1, 1, 0)


def test_a_run_is_stuck_whose_lost_lease_nobody_reaps(world: World) -> None:
    world.submit(1)
    claimed(world)
    world.later(QUIET_SECONDS)

    assert stuck(world) == {QUEUE: 1}


def test_a_run_is_stuck_whose_steps_all_wait_for_nothing(world: World) -> None:
    run = world.submit(1)
    world.control()
    Step.objects.filter(run=run, state=StepState.SENT).update(state=StepState.WAITING)
    world.later(QUIET_SECONDS)

    assert set(stuck(world)) == {QUEUE, queues.V2_RECORDS}


def test_a_stuck_run_is_stuck_no_more_once_somebody_takes_it(world: World) -> None:
    world.submit(1)
    world.control()
    world.later(QUIET_SECONDS)
    world.control()
    world.hello("w1", slots=2, draining=False)
    assert stuck(world)

    claimed(world)

    assert stuck(world) == {}


def test_figures_cost_as_many_queries_for_many_runs_queues_and_workers_as_for_none(world: World) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            figures_of(world)
        return len(captured)

    none = queries()
    for number in range(1, 13):
        world.submit(number, chunks=4)
        world.hello(f"w{number}", slots=2, draining=False)
    world.control()
    for run in Run.objects.all():
        Step.objects.filter(run=run, server_side=False).update(queue=f"queue-{run.pk}")
    world.later(QUIET_SECONDS)

    many = queries()

    assert len(figures_of(world).queues) > 12
    assert many == none == 4


def test_what_happens_to_steps_is_counted_once(world: World) -> None:
    committed = counted("qanat_steps_committed_total", queue=QUEUE)
    of_model = {"queue": QUEUE, "reason": "model", "retried": "true"}
    failed = counted("qanat_step_failures_total", **of_model)
    world.submit(1)
    held = claimed(world)

    world.fail(held, FailureClass.MODEL)
    again = claimed(world)
    world.fail(held, FailureClass.MODEL)
    for _ in range(2):
        assert world.finish(again)

    assert counted("qanat_steps_committed_total", queue=QUEUE) == committed + 1
    assert counted("qanat_step_failures_total", **of_model) == failed + 1


def test_a_final_failure_is_told_apart(world: World) -> None:
    final = {"queue": QUEUE, "reason": "input", "retried": "false"}
    before = counted("qanat_step_failures_total", **final)
    world.submit(1)

    world.fail(claimed(world), FailureClass.INPUT)

    assert counted("qanat_step_failures_total", **final) == before + 1


def test_a_lost_lease_is_counted(world: World) -> None:
    before = counted("qanat_leases_lost_total", queue=QUEUE)
    world.submit(1)
    claimed(world)
    world.later(LEASE.total_seconds() + 1)

    world.reap()
    world.reap()

    assert counted("qanat_leases_lost_total", queue=QUEUE) == before + 1


def test_doorbells_that_ring_again_are_counted(world: World) -> None:
    before = counted("qanat_doorbells_resent_total", queue=QUEUE)
    world.submit(1)
    world.control()
    assert counted("qanat_doorbells_resent_total", queue=QUEUE) == before

    world.later(30)
    world.control()

    assert counted("qanat_doorbells_resent_total", queue=QUEUE) == before + 1
