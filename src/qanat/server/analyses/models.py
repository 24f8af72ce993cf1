"""The table of the analyses."""

from typing import Any, Final

from django.db import models

from qanat.contract.statuses import AnalysisStatus, RunMode
from qanat.server.data_files.models import DataFile
from qanat.server.files.owned import Owned, file_field
from qanat.server.portfolios.models import Portfolio
from qanat.server.risk_models.models import RiskModel

Json = dict[str, Any]


class Analysis(Owned):
    """A portfolio to be run through a model.

    ``status`` is assigned in ``status.apply`` alone; the file fields of results by the projection of the engine alone.
    """

    groups_through = "portfolio"

    name = models.CharField(max_length=255)
    portfolio = models.ForeignKey(Portfolio, on_delete=models.CASCADE, related_name="analyses")
    model = models.ForeignKey(RiskModel, null=True, on_delete=models.CASCADE, related_name="analyses")
    status = models.CharField(
        max_length=32, choices=[(s.value, s.value) for s in AnalysisStatus], default=AnalysisStatus.NEW, db_index=True
    )
    run_mode = models.CharField(max_length=2, null=True, choices=[(m.value, m.value) for m in RunMode])  # noqa: DJ001 - clients see null
    priority = models.PositiveSmallIntegerField(default=4)
    task_started = models.DateTimeField(null=True)
    task_finished = models.DateTimeField(null=True)
    complex_model_data_files: "models.ManyToManyField[Any, Any]" = models.ManyToManyField(
        DataFile, related_name="analyses"
    )
    lookup_chunks = models.PositiveIntegerField(null=True)
    analysis_chunks = models.PositiveIntegerField(null=True)
    num_events_total = models.PositiveIntegerField(default=0)
    num_events_complete = models.PositiveIntegerField(default=0)
    chunking: "models.JSONField[Json | None, Json | None]" = models.JSONField(null=True)
    """The analysis' own chunking configuration; null: the model's."""
    settings_file = file_field()
    input_file = file_field()
    lookup_errors_file = file_field()
    lookup_success_file = file_field()
    lookup_validation_file = file_field()
    summary_levels_file = file_field()
    input_generation_traceback_file = file_field()
    output_file = file_field()
    run_traceback_file = file_field()
    run_log_file = file_field()

    def __str__(self) -> str:
        """Name the analysis."""
        return self.name


INPUT_FIELDS: Final = (
    "input_file",
    "lookup_errors_file",
    "lookup_success_file",
    "lookup_validation_file",
    "summary_levels_file",
    "input_generation_traceback_file",
)
RUN_FIELDS: Final = ("output_file", "run_traceback_file", "run_log_file")
FILES: Final = ("settings_file", *INPUT_FIELDS, *RUN_FIELDS)
