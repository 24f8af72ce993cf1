"""Reads of the engine's tables for the features above."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, Max, Min, Q, QuerySet

from qanat.contract.statuses import RunMode, RunState, StepState, SubTaskStatus
from qanat.domain import waiting
from qanat.domain.run_plan import is_for_all_cores
from qanat.domain.step_state import SHOWN_AS
from qanat.domain.waiting import Waiting
from qanat.server.config.prepared import Prepared, among
from qanat.server.runs.dispatch import lives
from qanat.server.runs.models import ACTIVE_RUN_STATES, Run, Step, Worker
from qanat.server.runs.stock import served

STARTED_OR_READY: Final = (StepState.READY, StepState.SENT, StepState.RUNNING)
IN_ERROR: Final = tuple(state for state, shown in SHOWN_AS.items() if shown is SubTaskStatus.ERROR)


@dataclass(frozen=True, kw_only=True)
class SubTaskCounts:
    """How many sub-tasks an analysis has, by the status that clients see, and which ended in error."""

    by_status: Counter[SubTaskStatus] = field(default_factory=Counter)
    error_ids: list[int] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Number of sub-tasks."""
        return self.by_status.total()


def latest_runs(analysis_ids: Collection[int] | QuerySet[Any, Any]) -> QuerySet[Run]:
    """Return, for each analysis, its latest run; the ids may be a query of them."""
    latest = (
        Run.objects.filter(analysis_id__in=analysis_ids)
        .values("analysis_id")
        .annotate(latest=Max("pk"))
        .values("latest")
    )
    return Run.objects.filter(pk__in=latest)


def latest_v2_runs(analysis_ids: Collection[int]) -> QuerySet[Run]:
    """Return, for each analysis, its latest run where that is a V2 run; a V1 run shows no sub-tasks."""
    return latest_runs(analysis_ids).filter(mode=RunMode.V2)


def sub_tasks(analysis_id: int) -> QuerySet[Step]:
    """Return the sub-tasks of an analysis in execution order."""
    return Step.objects.filter(run__in=latest_v2_runs([analysis_id])).select_related("run").order_by("position")


_states = Prepared(
    lambda analyses: (
        Run.objects.filter(**among("analysis_id", analyses))
        .order_by("pk")
        .values_list("analysis_id", "pk", "mode", "steps__state")
        .annotate(many=Count("steps"))
    )
)
_errors = Prepared(
    lambda runs: Step.objects.filter(run_id__in=runs, state__in=IN_ERROR).order_by("pk").values_list("run_id", "pk")
)


def sub_task_counts(analysis_ids: Collection[int]) -> dict[int, SubTaskCounts]:
    """Return the counts for each analysis, in one query; another names the sub-tasks that ended in error, if any."""
    counts = {analysis_id: SubTaskCounts() for analysis_id in analysis_ids}
    latest: dict[int, int] = {}
    for analysis_id, run_id, mode, state, many in _states(analysis_ids):
        if analysis_id not in counts:
            continue
        if latest.get(analysis_id) != run_id:  # the runs come in the order of their making
            latest[analysis_id], counts[analysis_id] = run_id, SubTaskCounts()
        if mode == RunMode.V2 and state is not None:
            counts[analysis_id].by_status[SHOWN_AS[StepState(state)]] += many
    failed = {run: counts[pk] for pk, run in latest.items() if counts[pk].by_status[SubTaskStatus.ERROR]}
    if failed:
        for run_id, step_id in _errors(failed.keys()):
            failed[run_id].error_ids.append(step_id)
    return counts


def why_waiting(analysis_id: int, *, now: datetime) -> Waiting | None:
    """Return why the run of an analysis does not go on at this moment; None where it does, or there is none.

    In a constant number of queries, and in two where something of it runs.
    """
    run = Run.objects.filter(analysis_id=analysis_id, state__in=ACTIVE_RUN_STATES).first()
    if run is None:
        return None
    if run.state == RunState.SUBMITTED:
        return waiting.for_plan(since=run.created)
    left = _open(run, now=now)
    if left is None or not waiting.is_for_workers(left):
        return None if left is None else waiting.on_itself(left)
    return waiting.on_workers(left, _service(run, queue=left.queue, now=now))


def _open(run: Run, *, now: datetime) -> waiting.Open | None:
    """Return what of a run could be done next, or None where nothing could."""
    later = Q(state=StepState.READY, not_before__gt=now)
    kinds = (
        run.steps.filter(state__in=STARTED_OR_READY)
        .order_by()
        .values("queue", "server_side", "task", "count")
        .annotate(
            running=Count("pk", filter=Q(state=StepState.RUNNING)),
            due=Count("pk", filter=~Q(state=StepState.RUNNING) & ~later),
            again_at=Min("not_before", filter=later),
            most_rings=Max("rings"),
        )
    )
    found = list(kinds)
    if not found:
        return None
    return waiting.Open(
        queue=found[0]["queue"],
        running=sum(kind["running"] for kind in found),
        due=sum(kind["due"] for kind in found),
        again_at=min((kind["again_at"] for kind in found if kind["again_at"]), default=None),
        alone=any(is_for_all_cores(task=kind["task"], count=kind["count"]) for kind in found),
        server_side=found[0]["server_side"],
        rings=max(kind["most_rings"] for kind in found),
    )


def _service(run: Run, *, queue: str, now: datetime) -> waiting.Service:
    serving = [worker for worker in Worker.objects.annotate(lives=lives(now=now)) if queue in worker.queues]
    living = [worker for worker in serving if worker.lives]
    first = Q(run__priority__gt=run.priority) | Q(run__priority=run.priority, run__lt=run)
    others = Step.objects.filter(queue=queue, state__in=STARTED_OR_READY, run__state=RunState.ACTIVE).aggregate(
        busy=Count("pk", filter=Q(state=StepState.RUNNING)), ahead=Count("run", filter=first, distinct=True)
    )
    return waiting.Service(
        workers=len(living),
        slots=sum(worker.slots for worker in living),
        busy=others["busy"],
        ahead=others["ahead"],
        last_seen=max((worker.last_seen for worker in serving), default=None),
        stock=not living and served.is_stock(queue),
    )
