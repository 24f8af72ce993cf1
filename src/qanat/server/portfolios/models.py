"""The table of the portfolios."""

from typing import Any

from django.contrib.auth.models import Group
from django.db import models

from qanat.contract.statuses import ExposureStatus
from qanat.server.files.models import StoredFile
from qanat.server.files.owned import Owned, file_field


def _status_field() -> "models.CharField[str, str]":
    choices = [(status.value, status.value) for status in ExposureStatus]
    return models.CharField(max_length=32, choices=choices, default=ExposureStatus.NONE.value)


class Portfolio(Owned):
    """What somebody insures: locations, accounts and reinsurance in OED files.

    The three statuses are assigned in ``status.apply`` alone; the files of results by the projection of the engine.
    """

    name = models.CharField(max_length=255)
    groups: "models.ManyToManyField[Any, Any]" = models.ManyToManyField(Group, related_name="+")
    location_file = file_field()
    accounts_file = file_field()
    reinsurance_info_file = file_field()
    reinsurance_scope_file = file_field()
    currency_conversion_json = file_field()
    reporting_currency = models.CharField(max_length=15, blank=True)
    validation_status = _status_field()
    exposure_status = _status_field()
    exposure_transform_status = _status_field()
    validated: "models.JSONField[list[str], list[str]]" = models.JSONField(default=list)
    """Keys of the files that the latest validation has found valid; a file's content never changes."""
    validation_report = file_field()
    validation_errors_file = file_field()
    exposure_run_file = file_field()
    exposure_errors_file = file_field()
    transform_errors_file = file_field()
    transform_source = file_field()
    transform_mapping = file_field()

    def __str__(self) -> str:
        """Name the portfolio."""
        return self.name

    @property
    def errors_file(self) -> StoredFile | None:
        """What is wrong with the exposure: the newest word on it; a task that succeeds takes its own back."""
        found: list[StoredFile] = [file for field in ERROR_FILES if (file := getattr(self, field)) is not None]
        return max(found, key=lambda file: file.pk, default=None)


OED_FILES = ("location_file", "accounts_file", "reinsurance_info_file", "reinsurance_scope_file")
FILES = (*OED_FILES, "currency_conversion_json")
ERROR_FILES = ("validation_errors_file", "exposure_errors_file", "transform_errors_file")
TASK_FILES = (*ERROR_FILES, "validation_report", "exposure_run_file", "transform_source", "transform_mapping")
"""What tasks on the exposure read and made."""
