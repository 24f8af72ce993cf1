"""As many steps run at once as a worker has slots, or one that needs it whole."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from qanat.worker.slots import Doorbell, Slots

Eventually = Callable[[Callable[[], object]], None]


@dataclass
class Steps:
    """Steps that run until they are told to end."""

    running: set[int] = field(default_factory=set)
    begun: list[int] = field(default_factory=list)
    ends: dict[int, threading.Event] = field(default_factory=lambda: {number: threading.Event() for number in range(9)})

    def run(self, *, step_id: int, fence: int) -> None:
        """Run a step; that of fence 13 fails."""
        self.begun.append(step_id)
        self.running.add(step_id)
        self.ends[step_id].wait()
        self.running.remove(step_id)
        if fence == 13:
            message = "the thirteenth"
            raise ValueError(message)


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def slots(steps: Steps) -> Iterator[Slots]:
    """Two slots."""
    slots = Slots(2, steps.run)
    yield slots
    for end in steps.ends.values():
        end.set()
    slots.close()


def ring(slots: Slots, *step_ids: int, alone: bool = False, fence: int = 1) -> None:
    for step_id in step_ids:
        slots.ring(Doorbell(step_id=step_id, fence=fence, alone=alone))


def test_chunks_run_side_by_side_up_to_the_number_of_slots(slots: Slots, steps: Steps, eventually: Eventually) -> None:
    ring(slots, 1, 2, 3)
    eventually(lambda: steps.running == {1, 2})

    steps.ends[2].set()

    eventually(lambda: steps.running == {1, 3})


def test_a_step_for_all_cores_runs_alone(slots: Slots, steps: Steps, eventually: Eventually) -> None:
    ring(slots, 1, 2)
    ring(slots, 3, alone=True)
    ring(slots, 4)
    eventually(lambda: steps.running == {1, 2})

    steps.ends[1].set()
    eventually(lambda: steps.running == {2})
    steps.ends[2].set()

    eventually(lambda: steps.running == {3})
    steps.ends[3].set()
    eventually(lambda: steps.running == {4})
    assert steps.begun[2:] == [3, 4]


def test_a_step_that_fails_gives_its_slot_back(slots: Slots, steps: Steps, eventually: Eventually) -> None:
    ring(slots, 1, fence=13, alone=True)
    ring(slots, 2)

    steps.ends[1].set()

    eventually(lambda: steps.running == {2})


def test_closing_waits_for_what_runs(slots: Slots, steps: Steps, eventually: Eventually) -> None:
    ring(slots, 1, 2, 3)
    eventually(lambda: steps.running == {1, 2})
    closing = threading.Thread(target=slots.close)
    closing.start()

    for end in steps.ends.values():
        end.set()
    closing.join(15)

    assert not closing.is_alive()
    assert not steps.running
    assert sorted(steps.begun) == [1, 2, 3]
