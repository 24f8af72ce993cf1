"""The engine under everything that can happen, in any order: the invariants of ``orchestration.md``, section 7."""

import os
from collections import Counter
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from qanat.contract.statuses import FailureClass, RunKind, RunMode, RunState, StepState
from qanat.domain.analysis_status import TransitionRefused
from qanat.server.runs import claims, doorbell
from qanat.server.runs.claims import StepRefused
from qanat.server.runs.models import Event, Run, Step, StepEdge
from qanat.server.runs.projection import register
from qanat.server.runs.submission import RunActive
from tests.integration.engine.world import LEASE, World

EXAMPLES = int(os.environ.get("QANAT_MACHINE_EXAMPLES", "420"))
STEPS = 50
ANALYSES = st.integers(1, 3)
PICK = st.integers(0, 1000)
taken: Counter[str] = Counter()


class Engine(RuleBasedStateMachine):
    """Submit, duplicate, drop, reorder, crash, cancel, retry and let the clock jump; then honest workers finish."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.before = register(self.world.statuses)
        self.ring: Any = doorbell.ring
        doorbell.ring = self.world.ring
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.cancelled: set[int] = set()

    def teardown(self) -> None:
        try:
            self.world.broker_is_away = False
            self.world.held.clear()
            self.world.work_until_quiet()
            for run in Run.objects.all():
                assert run.state in {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}
        finally:
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)
            doorbell.ring = self.ring
            register(self.before)

    @rule(
        analysis=ANALYSES,
        kind=st.sampled_from(list(RunKind)),
        mode=st.sampled_from(list(RunMode)),
        chunks=st.integers(1, 3),
    )
    def submit(self, analysis: int, kind: RunKind, mode: RunMode, chunks: int) -> None:
        taken["submit"] += 1
        try:
            self.world.submit(analysis, kind=kind, mode=mode, chunks=chunks)
        except (RunActive, TransitionRefused):
            return

    @rule()
    def control(self) -> None:
        taken["control"] += 1
        self.world.control()

    @rule()
    def control_twice_at_once(self) -> None:
        taken["control"] += 1
        self.world.control()
        self.world.control()

    @precondition(lambda self: self.world.messages)
    @rule(pick=PICK, again=st.booleans(), worker=st.sampled_from(["w1", "w2", "w3"]))
    def deliver(self, pick: int, again: bool, worker: str) -> None:  # noqa: FBT001 - drawn by Hypothesis
        taken["deliver again" if again else "deliver"] += 1
        message = self.world.messages[pick % len(self.world.messages)]
        if not again:
            self.world.messages.remove(message)
        self.world.deliver(message, worker=worker)

    @precondition(lambda self: self.world.messages)
    @rule(pick=PICK)
    def lose_a_message(self, pick: int) -> None:
        taken["lose"] += 1
        self.world.messages.pop(pick % len(self.world.messages))

    @rule()
    def lose_all_messages(self) -> None:
        taken["lose all"] += 1
        self.world.messages.clear()

    @rule()
    def broker_comes_and_goes(self) -> None:
        taken["broker"] += 1
        self.world.broker_is_away = not self.world.broker_is_away

    @precondition(lambda self: self.world.held)
    @rule(pick=PICK, twice=st.booleans())
    def commit(self, pick: int, twice: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
        taken["commit"] += 1
        held = self.world.held[pick % len(self.world.held)]
        if not twice:
            self.world.held.remove(held)
        self.world.finish(held)

    @precondition(lambda self: self.world.held)
    @rule(pick=PICK, failure=st.sampled_from(list(FailureClass)))
    def fail(self, pick: int, failure: FailureClass) -> None:
        taken["fail"] += 1
        self.world.fail(self.world.held.pop(pick % len(self.world.held)), failure)

    @precondition(lambda self: self.world.held)
    @rule(pick=PICK)
    def worker_crashes(self, pick: int) -> None:
        taken["crash"] += 1
        self.world.held.pop(pick % len(self.world.held))

    @precondition(lambda self: self.world.held)
    @rule(pick=PICK)
    def hand_back(self, pick: int) -> None:
        taken["hand back"] += 1
        held = self.world.held.pop(pick % len(self.world.held))
        try:
            claims.hand_back(step_id=held.step_id, fence=held.fence, now=self.world.now)
        except StepRefused:
            return

    @precondition(lambda self: self.world.held)
    @rule(pick=PICK)
    def heartbeat(self, pick: int) -> None:
        taken["heartbeat"] += 1
        held = self.world.held[pick % len(self.world.held)]
        claims.heartbeat(step_id=held.step_id, fence=held.fence, lease=LEASE, now=self.world.now)

    @rule(seconds=st.sampled_from([0.5, 3, 30, 61, 3600, -20]))
    def clock_jumps(self, seconds: float) -> None:
        taken["clock"] += 1
        self.world.later(seconds)

    @rule()
    def reap(self) -> None:
        taken["reap"] += 1
        self.world.reap()

    @rule(analysis=ANALYSES)
    def cancel(self, analysis: int) -> None:
        taken["cancel"] += 1
        run = self.world.cancel(analysis)
        if run is not None:
            self.cancelled.add(run.pk)

    @invariant()
    def a_step_commits_at_most_once(self) -> None:
        done = Counter(Event.objects.filter(event__in=["committed", "reused"]).values_list("step_id", flat=True))
        assert all(times == 1 for times in done.values())

    @invariant()
    def parents_left_equals_the_unfinished_parents(self) -> None:
        left: Counter[int] = Counter()
        for child, state in StepEdge.objects.values_list("child_id", "parent__state"):
            left[child] += state != StepState.SUCCEEDED
        for step_id, recorded in Step.objects.filter(run__state=RunState.ACTIVE).values_list("pk", "parents_left"):
            assert recorded == left[step_id]

    @invariant()
    def one_run_of_an_analysis_is_active(self) -> None:
        active = Counter(Run.objects.filter(state__in=["submitted", "active"]).values_list("analysis_id", flat=True))
        assert all(times == 1 for times in active.values())

    @invariant()
    def a_cancelled_run_stays_cancelled(self) -> None:
        assert not Run.objects.filter(pk__in=self.cancelled).exclude(state=RunState.CANCELLED).exists()

    @invariant()
    def an_ended_run_has_nothing_unfinished(self) -> None:
        ended = Step.objects.filter(run__state__in=["succeeded", "failed", "cancelled"])
        assert not ended.filter(state__in=["waiting", "ready", "sent", "running"]).exists()

    @invariant()
    def a_running_step_has_a_lease(self) -> None:
        assert not Step.objects.filter(state=StepState.RUNNING, lease_until__isnull=True).exists()


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.django_db
def test_the_invariants_hold_whatever_happens() -> None:
    taken.clear()

    run_state_machine_as_test(
        Engine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

    print(f"{taken.total()} steps: {dict(taken)}")  # noqa: T201 - the figure that the run is judged by
    assert taken.total() >= EXAMPLES * STEPS * 0.9
