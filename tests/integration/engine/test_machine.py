"""The engine under everything that can happen, in any order: the invariants of ``orchestration.md``, section 7."""

import contextlib
import os
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, TypeVar

import pytest
from django.db import transaction
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from qanat.contract.statuses import FailureClass, OwnerKind, RunKind, RunMode, RunState, StepState
from qanat.domain.analysis_status import TransitionRefused
from qanat.server.files.storage import storage
from qanat.server.runs import cancellation, doorbell
from qanat.server.runs.models import Event, Run, Step, StepEdge, portfolio
from qanat.server.runs.projection import register
from qanat.server.runs.steps import outputs_of
from qanat.server.runs.submission import RunActive
from tests.integration.engine.world import World

STEPS = int(os.environ.get("QANAT_MACHINE_STEPS", "20000"))
"""How many steps at least are taken in all."""
STEPS_AT_MOST = 3 * STEPS
"""After so many everything has happened at least once, or something keeps it from happening."""
STEPS_AN_EXAMPLE = 100
EXAMPLES_A_ROUND = 25
ANALYSES = st.integers(1, 3)
KINDS = (RunKind.INPUTS, RunKind.LOSSES, RunKind.BOTH)
PORTFOLIO_KINDS = (RunKind.VALIDATION, RunKind.EXPOSURE, RunKind.TRANSFORM)
CHUNKS = st.integers(1, 3)
WORKERS = st.sampled_from(["w1", "w2", "w3"])
SECONDS = st.sampled_from([0.5, 3, 30, 61, 3600, -20])
HAPPENINGS = {
    "work": 6,
    "submit": 2,
    "submit_of_a_portfolio": 1,
    "control": 2,
    "control_while_the_broker_is_away": 1,
    "deliver": 4,
    "lose_a_message": 2,
    "lose_all_messages": 1,
    "commit": 4,
    "fail": 3,
    "worker_crashes": 2,
    "hand_back": 1,
    "heartbeat": 1,
    "hello": 1,
    "clock_jumps": 3,
    "reap": 2,
    "cancel": 1,
    "cancel_of_a_portfolio": 1,
}
"""What happens, and how often: most runs shall get far before something ends them. As rules of their own Hypothesis
would leave half of them out of each example, and with them most of what can go wrong."""
WEIGHTED = [what for what, weight in HAPPENINGS.items() for _ in range(weight)]
taken: Counter[str] = Counter()
ended: Counter[str] = Counter()
ENDS: Final = {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}
IMPOSSIBLE: Final = object()
Thing = TypeVar("Thing")
Draw = Callable[[st.SearchStrategy[Any]], Any]


class Engine(RuleBasedStateMachine):
    """Submit, duplicate, drop, reorder, crash, cancel, retry and let the clock jump; then honest workers finish."""

    def __init__(self, world: World | None = None) -> None:
        super().__init__()
        self.world = world or World()
        self.before = {kind: register(kind, self.world.statuses) for kind in OwnerKind}
        self.ring: Any = doorbell.ring
        doorbell.ring = self.world.ring
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.cancelled: set[int] = set()

    def teardown(self) -> None:
        try:
            self.world.held.clear()
            self.world.work_until_quiet()
            for run in Run.objects.all():
                assert run.state in ENDS
                ended[run.state] += 1
        finally:
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)
            doorbell.ring = self.ring
            for kind, projection in self.before.items():
                register(kind, projection)

    @rule(what=st.sampled_from(WEIGHTED), data=st.data())
    def happens(self, what: str, data: st.DataObject) -> None:
        if getattr(self, what)(data.draw) is not IMPOSSIBLE:
            taken[what] += 1

    def submit(self, draw: Draw) -> None:
        kind, mode = draw(st.sampled_from(KINDS)), draw(st.sampled_from(RunMode))
        with contextlib.suppress(RunActive, TransitionRefused):
            self.world.submit(draw(ANALYSES), kind=kind, mode=mode, chunks=draw(CHUNKS))

    def submit_of_a_portfolio(self, draw: Draw) -> None:
        with contextlib.suppress(RunActive):
            self.world.submit_internal(portfolio(draw(ANALYSES)), kind=draw(st.sampled_from(PORTFOLIO_KINDS)))

    def control(self, draw: Draw) -> None:
        for _ in range(draw(st.integers(1, 2))):
            self.world.control()

    def control_while_the_broker_is_away(self, _: Draw) -> None:
        self.world.broker_is_away = True
        self.world.control()
        self.world.broker_is_away = False

    def work(self, draw: Draw) -> None:
        """What honest workers do, but for a step that one has not finished yet: without it no run gets far."""
        left = draw(st.integers(0, 1))
        for _ in range(draw(st.integers(1, 3))):
            self.world.control()
            messages, self.world.messages = self.world.messages, []
            for message in messages:
                self.world.deliver(message)
            while len(self.world.held) > left:
                self.world.finish(self.world.held.pop())

    def hello(self, draw: Draw) -> None:
        self.world.hello(draw(WORKERS), slots=draw(st.integers(0, 3)), draining=draw(st.booleans()))

    def deliver(self, draw: Draw) -> object:
        return self._with_one(
            self.world.messages, draw, lambda message: self.world.deliver(message, worker=draw(WORKERS)), again=True
        )

    def lose_a_message(self, draw: Draw) -> object:
        return self._with_one(self.world.messages, draw, lambda _: None)

    def lose_all_messages(self, _: Draw) -> object:
        if not self.world.messages:
            return IMPOSSIBLE
        self.world.messages.clear()
        return None

    def commit(self, draw: Draw) -> object:
        return self._with_one(self.world.held, draw, self.world.finish, again=True)

    def fail(self, draw: Draw) -> object:
        failure, no_keys = draw(st.sampled_from(FailureClass)), draw(st.booleans())
        return self._with_one(self.world.held, draw, lambda held: self.world.fail(held, failure, no_keys=no_keys))

    def worker_crashes(self, draw: Draw) -> object:
        return self._with_one(self.world.held, draw, lambda _: None)

    def hand_back(self, draw: Draw) -> object:
        return self._with_one(self.world.held, draw, self.world.hand_back)

    def heartbeat(self, draw: Draw) -> object:
        return self._with_one(self.world.held, draw, self.world.heartbeat, again=True)

    def clock_jumps(self, draw: Draw) -> None:
        self.world.later(draw(SECONDS))

    def reap(self, _: Draw) -> None:
        self.world.reap()

    def cancel(self, draw: Draw) -> None:
        self._cancelled(self.world.cancel(draw(ANALYSES)))

    def cancel_of_a_portfolio(self, draw: Draw) -> None:
        owner, kind = portfolio(draw(ANALYSES)), draw(st.sampled_from(PORTFOLIO_KINDS))
        self._cancelled(cancellation.cancel(owner=owner, kind=kind, now=self.world.now))

    def _cancelled(self, run: Run | None) -> None:
        if run is not None:
            self.cancelled.add(run.pk)

    @staticmethod
    def _with_one(things: list[Thing], draw: Draw, act: Callable[[Thing], object], *, again: bool = False) -> object:
        """Do something with one of many, which is then gone, or with ``again`` at times still there to come twice."""
        if not things:
            return IMPOSSIBLE
        place = draw(st.integers(0, len(things) - 1))
        thing = things[place]
        if not (again and draw(st.booleans())):
            things.pop(place)
        act(thing)
        return None

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
    def one_run_of_an_owner_is_active_or_one_of_each_kind(self) -> None:
        active = Run.objects.filter(state__in=["submitted", "active"])
        of_analyses = Counter(active.filter(portfolio_id=None).values_list("analysis_id", flat=True))
        of_portfolios = Counter(active.filter(analysis_id=None).values_list("portfolio_id", "kind"))
        assert all(times == 1 for times in [*of_analyses.values(), *of_portfolios.values()])

    @invariant()
    def an_active_run_has_all_that_its_steps_have_made(self) -> None:
        done = Step.objects.filter(run__state=RunState.ACTIVE, state=StepState.SUCCEEDED, server_side=False)
        for result in done.values_list("result", flat=True):
            assert all(storage().exists(ref.key) for ref in outputs_of(result).values())

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
    ended.clear()

    while taken.total() < STEPS or (taken.total() < STEPS_AT_MOST and _missing()):
        # Where `CI` is set, Hypothesis draws the same examples for each round: each has a seed of its own.
        run_state_machine_as_test(
            seed(random.getrandbits(64))(Engine),
            settings=settings(
                max_examples=EXAMPLES_A_ROUND,
                stateful_step_count=STEPS_AN_EXAMPLE,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

    assert not _missing()
    print(f"{taken.total()} steps: {dict(taken)}; runs: {dict(ended)}")  # noqa: T201 - what the run is judged by


def _missing() -> set[str]:
    """Return what has not happened, and the ends no run has come to, so far."""
    return (set(HAPPENINGS) - set(taken)) | {str(end) for end in ENDS - set(ended)}
