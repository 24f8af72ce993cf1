"""How many steps a worker runs at once: as many as it has slots, or one that needs the whole worker."""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from qanat import logs

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Doorbell:
    """A step that may be claimed, and whether nothing else should run beside it."""

    step_id: int
    fence: int
    alone: bool


class Slots:
    """Takes doorbells in the order in which they came; each step runs in a thread of its own.

    The queue needs no bound: the task controller never has more doorbells out than a model's workers have slots, plus
    one, and rings again only for somebody idle.
    """

    def __init__(self, number: int, run: Callable[..., None]) -> None:
        """Run steps by ``run(step_id=..., fence=...)`` in so many slots."""
        self._number: Final = number
        self._run = run
        self._free = threading.Semaphore(number)
        self._doorbells: queue.SimpleQueue[Doorbell | None] = queue.SimpleQueue()
        self._steps: list[threading.Thread] = []
        self._porter = threading.Thread(target=self._take, name="slots")
        self._porter.start()

    def ring(self, doorbell: Doorbell) -> None:
        """Put a doorbell aside until there is room."""
        self._doorbells.put(doorbell)

    def close(self) -> None:
        """Wait for the steps that run; doorbells that are still waiting go to ``run`` too, which knows of the end."""
        self._doorbells.put(None)
        self._porter.join()
        for step in self._steps:
            step.join()

    def _take(self) -> None:
        while (doorbell := self._doorbells.get()) is not None:
            share = self._number if doorbell.alone else 1
            for _ in range(share):  # Nobody else takes any, so nobody waits in a circle.
                self._free.acquire()
            self._steps = [step for step in self._steps if step.is_alive()]
            step = threading.Thread(target=self._see_through, args=(doorbell, share), name=f"step {doorbell.step_id}")
            self._steps.append(step)
            step.start()

    def _see_through(self, doorbell: Doorbell, share: int) -> None:
        try:
            self._run(step_id=doorbell.step_id, fence=doorbell.fence)
        except Exception:  # the outermost of the thread: the next step deserves its chance
            with logs.about(step=doorbell.step_id, attempt=doorbell.fence):
                logger.exception("The step could not be seen through; its lease will run out")
        finally:
            self._free.release(share)
