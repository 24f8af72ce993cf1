"""Reads of the engine's tables for the features above."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Count, Max, QuerySet

from qanat.contract.statuses import RunMode, StepState, SubTaskStatus
from qanat.domain.step_state import SHOWN_AS
from qanat.server.config.prepared import Prepared, among
from qanat.server.runs.models import Run, Step

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
