"""What the engine's lines in the log are about."""

import functools
import logging
from collections.abc import Callable
from functools import partial
from typing import Final, ParamSpec, TypeVar

from django.db import transaction

from qanat import logs
from qanat.contract.queues import model_of
from qanat.domain.step_state import Event
from qanat.server.runs.models import Run, Step

logger = logging.getLogger("qanat.server.runs")

P = ParamSpec("P")
R = TypeVar("R")
INTERESTING: Final = frozenset({Event.CLAIMED, Event.COMMITTED, Event.FAILED, Event.HANDED_BACK})
"""What is told of a step at INFO; the rest, of which there is much more, at DEBUG."""


def about_step(verb: Callable[P, R]) -> Callable[P, R]:
    """Have all that a verb of the engine logs be about the step and the fence that it is given by name."""

    @functools.wraps(verb)
    def call(*given: P.args, **named: P.kwargs) -> R:
        with logs.about(step=named.get("step_id"), attempt=named.get("fence")):
            return verb(*given, **named)

    return call


def is_about(run: Run) -> None:
    """Have what follows in the present verb be about a run too."""
    logs.add(run=run.pk, analysis=run.analysis_id, portfolio=run.portfolio_id, model=model_of(run.queue))


def tell_of_run_after_commit(run: Run) -> None:
    """Log what has become of a run, once it is so."""
    transaction.on_commit(partial(_tell_of_run, run, run.state), robust=True)


def tell_after_commit(step: Step, event: Event) -> None:
    """Log what happens to a step, once it is so.

    No reason of a failure: it may be the model's own words, which go into the log of the step and nowhere else.
    """
    level = logging.INFO if event in INTERESTING else logging.DEBUG
    if not logger.isEnabledFor(level):
        return
    about = {"run": step.run_id, "step": step.pk, "sub_task": step.slug, "attempt": step.fence}
    transaction.on_commit(partial(_tell, level, event, about), robust=True)


def _tell(level: int, event: Event, about: dict[str, object]) -> None:
    with logs.about(**about):
        logger.log(level, "The step is %s", event)


def _tell_of_run(run: Run, state: str) -> None:
    with logs.about():
        is_about(run)
        logger.info("The run is %s", state)
