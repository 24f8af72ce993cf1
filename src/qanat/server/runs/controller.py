"""The loops that keep runs going: the task controller's (plan, dispatch) and the worker monitor's (reap).

Each looks when it is woken and, at the latest, after its interval; either alone suffices. Any number of processes may
run them at once: every write is guarded.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import Error as DatabaseError
from django.db import close_old_connections, connection

from qanat.server.runs import clock, planning
from qanat.server.runs.dispatch import dispatch
from qanat.server.runs.reaping import reap
from qanat.server.runs.stock.roll_call import call_roll

logger = logging.getLogger(__name__)

ROLL_CALLS_PER_LEASE = 8
"""How many a stock worker may miss."""
LONGEST_REST_SECONDS = 0.05
"""Next to nothing for a step. Where steps end by the hundred a second, a look takes its time, and then so does the rest
after it: those that end meanwhile are seen together, and slots have a doorbell beforehand."""


@dataclass
class Loop:
    """Repeats ``look`` until stopped: at once when woken, else every ``interval`` seconds."""

    name: str
    look: Callable[[], object]
    interval: float
    longest_rest: float = 0.0
    """It rests as long as a look took, but no longer: whoever is woken all the time sees more at once. In seconds."""
    woken: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look and wait, for ever; a database that is away is waited for."""
        while not self.stopping.is_set():
            self.woken.clear()
            began = time.monotonic()
            try:
                close_old_connections()
                self.look()
            except DatabaseError as error:
                logger.warning("%s: the database did not answer, it is asked again: %s", self.name, error)
                connection.close()
            except Exception:  # the outermost loop: one bad row must not stop all runs
                logger.exception("%s: this round failed; the next is in %s s", self.name, self.interval)
            self.stopping.wait(min(self.longest_rest, time.monotonic() - began))
            self.woken.wait(self.interval)
        connection.close()

    def start(self) -> threading.Thread:
        """Run in a thread of its own."""
        thread = threading.Thread(target=self.run, name=self.name, daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """End after the present round."""
        self.stopping.set()
        self.woken.set()


_controllers: list[Loop] = []


def wake() -> None:
    """Let the controllers of this process look now."""
    for loop in _controllers:
        loop.woken.set()


def control(*, now: Callable[[], datetime] = clock.now) -> None:
    """Do one round of the task controller: plan what was submitted, a few runs at a time, ring for what is ready."""
    postponed: set[int] = set()
    while True:
        runs = planning.submitted(but=postponed)
        postponed |= planning.plan_all(runs, now=now())
        dispatch(now=now())
        if len(runs) < planning.IN_A_ROW:
            return


def start_controller(*, interval: float) -> Loop:
    """Start the task controller's loop in this process."""
    loop = Loop(name="task controller", look=control, interval=interval, longest_rest=LONGEST_REST_SECONDS)
    _controllers.append(loop)
    loop.start()
    return loop


def start_reaper(*, interval: float, lease: timedelta) -> Loop:
    """Start the worker monitor's reaper in this process."""

    def look() -> None:
        call_roll(lease=ROLL_CALLS_PER_LEASE * timedelta(seconds=interval), now=clock.now())
        reap(now=clock.now(), grace=lease)

    loop = Loop(name="reaper", look=look, interval=interval)
    loop.start()
    return loop
