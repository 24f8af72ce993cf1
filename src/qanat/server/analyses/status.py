"""The one place that assigns an analysis' status, by an event, from the table of the domain."""

from datetime import datetime
from typing import Final

from qanat.contract.statuses import AnalysisStatus as Status
from qanat.domain.analysis_status import Event, after
from qanat.server.analyses.models import Analysis

BEGINNINGS: Final = {Event.INPUTS_REQUESTED, Event.LOSSES_REQUESTED, Event.INPUTS_PICKED_UP, Event.LOSSES_PICKED_UP}
ENDS: Final = {
    Status.READY,
    Status.RUN_COMPLETED,
    Status.RUN_ERROR,
    Status.RUN_CANCELLED,
    Status.INPUTS_GENERATION_ERROR,
    Status.INPUTS_GENERATION_NO_KEYS,
    Status.INPUTS_GENERATION_CANCELLED,
}


def apply(analysis: Analysis, event: Event, *, now: datetime) -> None:
    """Change the status of an analysis whose row the caller holds, and save it with the times that follow from it.

    Raises:
        TransitionRefused: the table has no such transition; nothing is changed.
    """
    analysis.status = after(Status(analysis.status), event)
    columns = ["status", "modified"]
    if event in BEGINNINGS:
        analysis.task_started = now
        analysis.task_finished = None
        columns += ["task_started", "task_finished"]
    if analysis.status in ENDS:
        analysis.task_finished = now
        columns += ["task_finished"]
    analysis.save(update_fields=sorted(set(columns)))
