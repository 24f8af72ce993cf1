"""How the engine is doing, in figures: read in a number of queries that does not grow, whatever there is."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from django.db.models import Count, Max, Min, Q

from qanat.contract import queues
from qanat.contract.statuses import RunState, StepState
from qanat.domain.step_state import CLAIMABLE, UNFINISHED
from qanat.server.runs.dispatch import live_workers
from qanat.server.runs.models import Run, Step

QUIET_LEASES: Final = 3
"""A run of which nothing was heard for so many leases has stopped, unless it waits for a worker."""
OF_THE_MONITOR: Final = frozenset({queues.V1_RECORDS, queues.V2_RECORDS})
"""Queues that the worker monitor serves, which says no hello."""
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class QueueFigures:
    """How a queue is doing."""

    steps: Mapping[StepState, int]
    """Of those that are not finished."""
    oldest_wait: float
    """Seconds for which the step that has waited longest could have been taken; 0 where none waits."""
    workers: int | None
    """Those that live and take new steps; None for a queue that the worker monitor serves."""
    slots: int
    """How many steps they take at a time."""
    stuck_runs: int
    """Runs that have stopped on this queue, though somebody could go on with them."""

    @property
    def depth(self) -> int:
        """How many steps wait to be taken."""
        return sum(self.steps[state] for state in CLAIMABLE)

    @property
    def is_idle(self) -> bool:
        """Whether somebody serves the queue, and nobody does anything."""
        return self.workers != 0 and not self.steps[StepState.RUNNING]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How the engine is doing."""

    runs: Mapping[RunState, int]
    oldest_unplanned: float
    """Seconds for which the run that has waited longest has not been planned; 0 where none waits."""
    longest_overdue: float
    """Seconds since the first of the leases that have run out, and were not reaped, ran out; 0 where none has."""
    queues: Mapping[str, QueueFigures]
    """Of all queues that have a live worker or an unfinished step."""


def figures(*, now: datetime, lease: timedelta) -> Figures:
    """Return how the engine is doing.

    Args:
        now: the database's time.
        lease: for how long our own workers hold a step without a sign of life.
    """
    counts: Counter[str] = Counter()
    submitted: datetime | None = None
    by_state = Run.objects.order_by().values_list("state").annotate(many=Count("pk"), first=Min("created"))
    for state, many, first in by_state:
        counts[state] = many
        submitted = first if state == RunState.SUBMITTED else submitted
    steps = _unfinished(now=now)
    found = _queues(steps, now=now)
    stuck = _stuck(found, quiet_since=now - QUIET_LEASES * lease, lease=lease)
    return Figures(
        runs={state: counts[state] for state in RunState},
        oldest_unplanned=_seconds(submitted, now),
        longest_overdue=max((_seconds(row["lease"], now) for row in steps), default=0.0),
        queues={name: replace(queue, stuck_runs=stuck[name]) for name, queue in found.items()},
    )


def _unfinished(*, now: datetime) -> list[Row]:
    """Return how many steps of each queue are in which state; since when the oldest waits, and the first lease held."""
    takeable = Q(state__in=CLAIMABLE) & (Q(not_before__isnull=True) | Q(not_before__lte=now))
    rows = Step.objects.filter(state__in=UNFINISHED).order_by().values("queue", "state")
    return list(
        rows.annotate(
            many=Count("pk"),
            since=Min("queued_at", filter=takeable),
            lease=Min("lease_until", filter=Q(state=StepState.RUNNING)),
        )
    )


def _queues(steps: Iterable[Row], *, now: datetime) -> dict[str, QueueFigures]:
    """Return how each queue is doing, but for its stuck runs."""
    workers: Counter[str] = Counter()
    slots: Counter[str] = Counter()
    for worker in live_workers(now=now):
        for name in worker.queues:
            workers[name] += 1
            slots[name] += worker.slots
    counts = {(row["queue"], row["state"]): row["many"] for row in steps}
    waits: dict[str, float] = {}
    for row in steps:
        waits[row["queue"]] = max(waits.get(row["queue"], 0.0), _seconds(row["since"], now))
    return {
        name: QueueFigures(
            steps={state: counts.get((name, state), 0) for state in UNFINISHED},
            oldest_wait=waits.get(name, 0.0),
            workers=None if name in OF_THE_MONITOR else workers[name],
            slots=slots[name],
            stuck_runs=0,
        )
        for name in sorted({*workers, *waits})
    }


def _stuck(found: Mapping[str, QueueFigures], *, quiet_since: datetime, lease: timedelta) -> Counter[str]:
    """Return how many runs have stopped on which queue: nothing has happened to them since then.

    That something happened is a claim, a heartbeat, a commit, or a step that became ready; that a doorbell rings again
    is not.
    """
    rows = (
        Step.objects.filter(run__state=RunState.ACTIVE)
        .order_by("run_id")
        .values("run_id", "queue")
        .annotate(
            queued=Max("queued_at"),
            ended=Max("ended_at"),
            held_off=Max("not_before"),
            lease=Max("lease_until", filter=Q(state=StepState.RUNNING)),
            waiting=Count("pk", filter=Q(state=StepState.WAITING)),
            takeable=Count("pk", filter=Q(state__in=CLAIMABLE)),
            running=Count("pk", filter=Q(state=StepState.RUNNING)),
        )
    )
    stuck: Counter[str] = Counter()
    for _, of_run in groupby(rows, key=itemgetter("run_id")):
        parts = list(of_run)
        moments = [row[name] for row in parts for name in ("queued", "ended", "held_off")]
        moments += [row["lease"] and row["lease"] - lease for row in parts]
        if all(moment < quiet_since for moment in moments if moment):
            stuck.update(_where(parts, found))
    return stuck


def _where(parts: Iterable[Row], found: Mapping[str, QueueFigures]) -> set[str]:
    """Return the queues on which a quiet run should go on.

    What waits for a worker to come, or behind what workers do for others, is not stuck. What a worker has not let go
    of is, and what waits for nothing.
    """
    where = {row["queue"] for row in parts if row["running"] or (row["takeable"] and found[row["queue"]].is_idle)}
    if any(row["running"] or row["takeable"] for row in parts):
        return where
    return {row["queue"] for row in parts if row["waiting"]}


def _seconds(since: datetime | None, now: datetime) -> float:
    """Return for how long something has lasted; 0 where it is to come, or nothing."""
    return max(0.0, (now - since).total_seconds()) if since else 0.0
