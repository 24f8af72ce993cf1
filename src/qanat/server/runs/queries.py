"""Reads of the engine's tables for the features above."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

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


def latest_v2_runs(analysis_ids: Collection[int]) -> QuerySet[Run]:
    """Return, for each analysis, its latest run where that is a V2 run; a V1 run shows no sub-tasks."""
    latest = (
        Run.objects.filter(analysis_id__in=analysis_ids)
        .values("analysis_id")
        .annotate(latest=Max("pk"))
        .values("latest")
    )
    return Run.objects.filter(pk__in=latest, mode=RunMode.V2)


def sub_tasks(analysis_id: int) -> QuerySet[Step]:
    """Return the sub-tasks of an analysis in execution order."""
    return Step.objects.filter(run__in=latest_v2_runs([analysis_id])).select_related("run").order_by("position")


_runs = Prepared(
    lambda analyses: (
        Run.objects.filter(**among("analysis_id", analyses)).order_by("pk").values_list("analysis_id", "pk", "mode")
    )
)
_states = Prepared(
    lambda runs: (
        Step.objects.filter(**among("run_id", runs))
        .order_by()
        .values_list("run_id", "state")
        .annotate(steps=Count("pk"))
    )
)
_errors = Prepared(
    lambda runs: Step.objects.filter(run_id__in=runs, state__in=IN_ERROR).order_by("pk").values_list("run_id", "pk")
)


def sub_task_counts(analysis_ids: Collection[int]) -> dict[int, SubTaskCounts]:
    """Return the counts for each analysis, in two queries; a third names the sub-tasks that ended in error, if any."""
    counts = {analysis_id: SubTaskCounts() for analysis_id in analysis_ids}
    latest = {analysis_id: (run_id, mode) for analysis_id, run_id, mode in _runs(analysis_ids)}
    shown = {
        run_id: counts[analysis_id]
        for analysis_id, (run_id, mode) in latest.items()
        if mode == RunMode.V2 and analysis_id in counts
    }
    if not shown:
        return counts
    for run_id, state, many in _states(shown.keys()):
        if run_id in shown:
            shown[run_id].by_status[SHOWN_AS[StepState(state)]] += many
    if failed := [run_id for run_id, found in shown.items() if found.by_status[SubTaskStatus.ERROR]]:
        for run_id, step_id in _errors(failed):
            shown[run_id].error_ids.append(step_id)
    return counts
