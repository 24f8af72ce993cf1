"""Data files: the endpoints that both versions offer."""

from collections.abc import Mapping
from typing import ClassVar

from qanat.server.api.common import filters
from qanat.server.api.common.files import FileEndpoint
from qanat.server.api.common.related import Read
from qanat.server.api.common.resources import DetailView, ListView, ResourceView, groups_read
from qanat.server.data_files.models import DataFile
from qanat.server.data_files.operations import attach_content, delete_data_file

ENDPOINTS = [
    FileEndpoint(
        field="file",
        name="content",
        upload=lambda row, upload, actor: attach_content(data_file=row, upload=upload, actor=actor),
        deletable=True,
    )
]


class DataFiles(ResourceView):
    """What all endpoints of data files have in common."""

    model = DataFile
    joined = ("file",)
    related: ClassVar[Mapping[str, Read]] = {"groups": groups_read(DataFile, "groups")}


class DataFileList(DataFiles, ListView):
    """``data_files/``."""

    filters = filters.filter_set(DataFile, filters.DATA_FILES)
    searched = ("file_description", "file_category", "file__filename")
    ordered_by = ("id", "file_description", "created", "modified")


class DataFileDetail(DataFiles, DetailView):
    """``data_files/{id}/``."""

    def remove(self, row: DataFile) -> None:
        """Delete the row and its file."""
        delete_data_file(row)
