"""The table of the data files."""

from typing import Any

from django.contrib.auth.models import Group
from django.db import models

from qanat.server.files.owned import Owned, file_field


class DataFile(Owned):
    """A file for models, described by its owner."""

    file_description = models.CharField(max_length=255)
    file_category = models.CharField(max_length=255, null=True)  # noqa: DJ001 - clients see null
    file = file_field()
    groups: "models.ManyToManyField[Any, Any]" = models.ManyToManyField(Group, related_name="+")

    def __str__(self) -> str:
        """Describe it."""
        return self.file_description
