"""The engine's invariants hold whatever stock workers say, as often and as late as they like."""

import os
import random
from collections import Counter
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from qanat.contract import tasks
from qanat.contract.statuses import AnalysisStatus
from qanat.server.runs import doorbell
from tests.integration.engine.test_machine import IMPOSSIBLE, Draw, Engine
from tests.integration.stock.world import Sent, StockWorld, inputs_result

STEPS: Final = int(os.environ.get("QANAT_MACHINE_STEPS", "20000")) // 20
"""How many steps at least are taken in all, and more until all that can happen has."""
STEPS_AT_MOST: Final = 10 * STEPS
STEPS_AN_EXAMPLE: Final = 60
EXAMPLES_A_ROUND: Final = 10
SECONDS = st.sampled_from([1, 61, 600, 3601, -20])
HAPPENINGS: Final = {
    "submit": 2,
    "control": 3,
    "deliver": 3,
    "a_worker_answers": 6,
    "a_worker_answers_nonsense": 1,
    "a_worker_fails": 1,
    "a_task_lives": 3,
    "somebody_makes_things_up": 1,
    "a_message_is_lost": 1,
    "control_while_the_broker_is_away": 1,
    "clock_jumps": 2,
    "reap": 2,
    "cancel": 1,
}
WEIGHTED: Final = [what for what, weight in HAPPENINGS.items() for _ in range(weight)]
taken: Counter[str] = Counter()


class StockEngine(Engine):
    """Stock workers answer, twice, late, wrongly or not at all; then honest ones finish."""

    world: StockWorld

    def __init__(self) -> None:
        world = StockWorld()
        super().__init__(world)
        self.stock = world
        self.send: Any = doorbell.send
        doorbell.send = world.send

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            doorbell.send = self.send

    @rule(what=st.sampled_from(WEIGHTED), data=st.data())
    def happens(self, what: str, data: st.DataObject) -> None:
        if getattr(self, what)(data.draw) is not IMPOSSIBLE:
            taken[what] += 1

    def deliver(self, draw: Draw) -> object:
        return self._with_one(self.world.messages, draw, self.world.deliver, again=True)

    def a_worker_answers(self, draw: Draw) -> object:
        def answer(sent: Sent) -> None:
            self.stock.done(sent, self.stock.honest_result(sent))

        return self._with_one(self.stock.sent, draw, answer, again=True)

    def a_worker_answers_nonsense(self, draw: Draw) -> object:
        nonsense = draw(st.sampled_from([None, {}, [], ["../x"] * 7, inputs_result(code=1)]))
        return self._with_one(self.stock.sent, draw, lambda sent: self.stock.done(sent, nonsense), again=True)

    def a_worker_fails(self, draw: Draw) -> object:
        return self._with_one(self.stock.sent, draw, self.stock.failed, again=True)

    def a_task_lives(self, draw: Draw) -> object:
        said = draw(st.sampled_from([*AnalysisStatus, ""]))

        def live(sent: Sent) -> None:
            self.stock.hint(sent.task_id, tasks.SET_TASK_STATUS, 1, said)

        return self._with_one(self.stock.sent, draw, live, again=True)

    def somebody_makes_things_up(self, draw: Draw) -> None:
        assert not self.stock.done(draw(st.text(max_size=20)), inputs_result())
        assert not self.stock.hint(draw(st.text(alphabet="0123456789abcdef", max_size=32)), tasks.SET_TASK_STATUS, 1)

    def a_message_is_lost(self, draw: Draw) -> object:
        return self._with_one(self.stock.sent, draw, lambda _: None)

    def clock_jumps(self, draw: Draw) -> None:
        self.world.later(draw(SECONDS))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.django_db
def test_the_invariants_hold_whatever_stock_workers_say() -> None:
    taken.clear()

    while taken.total() < STEPS or (taken.total() < STEPS_AT_MOST and set(taken) != set(HAPPENINGS)):
        run_state_machine_as_test(
            seed(random.getrandbits(64))(StockEngine),
            settings=settings(
                max_examples=EXAMPLES_A_ROUND,
                stateful_step_count=STEPS_AN_EXAMPLE,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

    assert set(taken) == set(HAPPENINGS)
