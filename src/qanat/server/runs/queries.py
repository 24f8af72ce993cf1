"""Reads of the engine's tables for the features above."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from django.db.models import Case, Count, Max, QuerySet, When

from qanat.contract.statuses import RunMode, StepState, SubTaskStatus
from qanat.domain.step_state import SHOWN_AS
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


def sub_task_counts(analysis_ids: Collection[int]) -> dict[int, SubTaskCounts]:
    """Return the counts for each analysis, in one query, which names those that ended in error and counts the others."""
    counts = {analysis_id: SubTaskCounts() for analysis_id in analysis_ids}
    rows = (
        Step.objects.filter(run__in=latest_v2_runs(analysis_ids))
        .annotate(error_id=Case(When(state__in=IN_ERROR, then="pk")))
        .order_by("error_id")
        .values_list("run__analysis_id", "state", "error_id")
        .annotate(steps=Count("pk"))
    )
    for analysis_id, state, error_id, steps in rows:
        assert analysis_id is not None  # noqa: S101 - they were found by it
        counts[analysis_id].by_status[SHOWN_AS[StepState(state)]] += steps
        if error_id is not None:
            counts[analysis_id].error_ids.append(error_id)
    return counts
