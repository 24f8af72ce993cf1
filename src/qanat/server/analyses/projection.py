"""What the engine does becomes what clients see: status, files and progress of the analysis."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from qanat.contract import labels
from qanat.contract.statuses import Phase, RunKind, RunMode
from qanat.domain import analysis_status
from qanat.server.analyses import status
from qanat.server.analyses.models import RUN_FIELDS, Analysis
from qanat.server.files.operations import adopt
from qanat.server.files.owned import replace_file
from qanat.server.runs.models import Run
from qanat.server.runs.projection import FileRef

NAMES: Final = {
    labels.INPUT: ("inputs.tar.gz", "application/gzip"),
    labels.LOOKUP_SUCCESS: ("gul_summary_map.csv", "text/csv"),
    labels.LOOKUP_ERRORS: ("keys-errors.csv", "text/csv"),
    labels.LOOKUP_VALIDATION: ("exposure_summary_report.json", "application/json"),
    labels.SUMMARY_LEVELS: ("exposure_summary_levels.json", "application/json"),
    labels.SETTINGS: ("settings.json", "application/json"),
    labels.INPUT_TRACEBACK: ("generation_traceback.txt", "text/plain"),
    labels.OUTPUT: ("output.tar.gz", "application/gzip"),
    labels.RUN_LOG: ("logs.tar.gz", "application/gzip"),
    labels.RUN_TRACEBACK: ("run_traceback.txt", "text/plain"),
}
"""How the files of an analysis are called after ``analysis_<id>_``, and their media types (wire contract, 2.4)."""
FAILED_V2_TRACEBACK: Final = "worker_traceback.txt"
COMBINED: Final = {labels.OUTPUT: "outputs.tar.gz", labels.RUN_TRACEBACK: "errors.txt"}
"""Where they are called otherwise in a combined analysis."""


class AnalysisProjection:
    """Told by the engine, inside its transaction (``runs.projection.RunProjection``)."""

    def planned(self, *, run: Run, lookup_chunks: int | None, loss_chunks: int | None, now: datetime) -> None:
        """Show the number of chunks."""
        del now
        analysis = _held(run)
        analysis.lookup_chunks = lookup_chunks or analysis.lookup_chunks
        analysis.analysis_chunks = loss_chunks or analysis.analysis_chunks
        analysis.save(update_fields=["lookup_chunks", "analysis_chunks"])

    def picked_up(self, *, run: Run, phase: Phase, now: datetime) -> None:
        """Show that somebody works on it; what is combined shows that since it was asked for."""
        if run.kind == RunKind.COMBINE:
            return
        status.apply(_held(run), analysis_status.PICKED_UP[phase], now=now)

    def made(self, *, run: Run, phase: Phase, outputs: Mapping[str, FileRef], now: datetime) -> None:
        """Show the results. In V1 new inputs remove the files of a former run."""
        analysis = _held(run)
        if phase is Phase.INPUTS and run.mode == RunMode.V1:
            for field in RUN_FIELDS:
                replace_file(analysis, field, None)
        _attach(analysis, outputs, run)
        status.apply(analysis, analysis_status.MADE[phase], now=now)

    def failed(self, *, run: Run, phase: Phase, no_keys: bool, outputs: Mapping[str, FileRef], now: datetime) -> None:
        """Show the error and what could be saved; no result of a former run remains beside it."""
        analysis = _held(run)
        if phase is Phase.LOSSES:
            for field in RUN_FIELDS:
                replace_file(analysis, field, None)
        _attach(analysis, outputs, run, failed=True)
        status.apply(analysis, analysis_status.failed(phase, no_keys=no_keys), now=now)

    def cancelled(self, *, run: Run, phase: Phase, now: datetime) -> None:
        """Show that it was cancelled; the run mode goes back to the model's."""
        analysis = _held(run)
        status.apply(analysis, analysis_status.CANCELLED[phase], now=now)
        analysis.run_mode = None
        analysis.save(update_fields=["run_mode"])

    def progressed(self, *, run: Run, events_done: int, events_total: int, now: datetime) -> None:
        """Show how many events are done."""
        del now
        Analysis.objects.filter(pk=run.owner.id).update(num_events_total=events_total, num_events_complete=events_done)


def _held(run: Run) -> Analysis:
    return Analysis.objects.select_for_update().get(pk=run.owner.id)


def _attach(analysis: Analysis, outputs: Mapping[str, FileRef], run: Run, *, failed: bool = False) -> None:
    for label, ref in outputs.items():
        name, content_type = NAMES[label]
        if run.kind == RunKind.COMBINE:
            name = COMBINED.get(label, name)
        elif failed and run.mode == RunMode.V2 and content_type == "text/plain":
            name = FAILED_V2_TRACEBACK
        file = adopt(
            key=ref.key,
            filename=f"analysis_{analysis.pk}_{name}",
            content_type=content_type,
            size=ref.size,
            creator=analysis.creator,
            groups=list(analysis.portfolio.groups.all()),
        )
        replace_file(analysis, label, file)
