"""Why a run that is under way does not go on at this moment, in words for whoever waits."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

RUNG_IN_VAIN: Final = 3
"""So many doorbells without an answer are no accident."""


class Reason(StrEnum):
    """What a run waits for."""

    PLAN = "PLAN"
    """The task controller, which cuts it into sub-tasks."""
    RETRY = "RETRY"
    """The time at which something that has failed is tried again."""
    MONITOR = "MONITOR"
    """The worker monitor, which records results."""
    NO_WORKER = "NO_WORKER"
    """A worker of the model: none is there."""
    RUNS_AHEAD = "RUNS_AHEAD"
    """Other runs, whose turn it is first."""
    WORKERS_BUSY = "WORKERS_BUSY"
    """A worker of the model: all are at something else."""
    NOT_TAKEN = "NOT_TAKEN"
    """Workers that are there and idle, and do not take it."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Why a run waits."""

    reason: Reason
    message: str
    """A sentence."""


@dataclass(frozen=True, kw_only=True)
class Open:
    """What of a run could be done next; all of it is on one queue."""

    queue: str
    running: int = 0
    """Sub-tasks that somebody does."""
    due: int = 0
    """Sub-tasks that nobody does, and somebody could."""
    again_at: datetime | None = None
    """When the first of those that have failed is tried again."""
    alone: bool = False
    """Whether a worker must have nothing else to do them."""
    server_side: bool = False
    """Whether the worker monitor does them."""
    rings: int = 0
    """How often it was rung for the one that was rung for most."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """Who serves a queue, and what they have to do."""

    workers: int
    """That live, and take more."""
    slots: int
    """Of all of them."""
    busy: int
    """Sub-tasks that run, of whatever run."""
    ahead: int
    """Runs of a higher priority, or of the same and earlier, that have something there."""
    last_seen: datetime | None = None
    """When a worker was seen last."""
    stock: bool = False
    """Whether workers of the Oasis Platform serve it, which do not have to answer."""


def for_plan(*, since: datetime) -> Waiting:
    """Return why a run waits that has no sub-tasks yet."""
    return Waiting(reason=Reason.PLAN, message=f"The task controller has not planned it since {_shown(since)}.")


def is_for_workers(run: Open) -> bool:
    """Say whether it depends on who serves the queue whether, and why, a run waits."""
    return not run.running and bool(run.due) and not run.server_side


def on_itself(run: Open) -> Waiting | None:
    """Return why a run waits, whoever serves its queue; None where it goes on, or nothing is known."""
    if run.running:
        return None
    if not run.due and run.again_at is not None:
        message = f"A sub-task has failed and is tried again at {run.again_at:%H:%M:%S} UTC."
        return Waiting(reason=Reason.RETRY, message=message)
    if run.due and run.server_side and run.rings >= RUNG_IN_VAIN:
        return Waiting(reason=Reason.MONITOR, message="The worker monitor does not record its results: is it running?")
    return None


def on_workers(run: Open, service: Service) -> Waiting | None:
    """Return why a run waits for whoever serves its queue; None where somebody is about to take it."""
    if not service.workers:
        return _without_workers(run, service)
    full = service.busy >= (service.workers if run.alone else service.slots)
    if full and service.ahead:
        runs = "1 run" if service.ahead == 1 else f"{service.ahead} runs"
        verb = "is" if service.ahead == 1 else "are"
        return Waiting(reason=Reason.RUNS_AHEAD, message=f"{runs} of higher or equal priority {verb} ahead.")
    if full:
        workers = "The one worker" if service.workers == 1 else f"All {service.workers} workers"
        verb = "is" if service.workers == 1 else "are"
        return Waiting(reason=Reason.WORKERS_BUSY, message=f"{workers} of the model {verb} busy.")
    if run.rings >= RUNG_IN_VAIN:
        message = f"Workers of {run.queue} are idle and do not take it, though asked {run.rings} times: see their logs."
        return Waiting(reason=Reason.NOT_TAKEN, message=message)
    return None


def _without_workers(run: Open, service: Service) -> Waiting:
    if service.stock:
        message = f"No worker of {run.queue} answers; one that is busy need not."
    elif service.last_seen is None:
        message = f"No worker serves {run.queue}, and none has for a day."
    else:
        message = f"No worker serves {run.queue} since {_shown(service.last_seen)}."
    return Waiting(reason=Reason.NO_WORKER, message=message)


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
