"""Data files: the endpoints that both versions offer."""

from django.contrib.auth.models import User
from django.db import transaction

from qanat.server.accounts.access import groups_of_file
from qanat.server.api.common import filters
from qanat.server.api.common.files import FileEndpoint
from qanat.server.api.common.resources import DetailView, ListView, ResourceView
from qanat.server.data_files.models import DataFile
from qanat.server.files.models import StoredFile
from qanat.server.files.operations import Upload, delete_file, store_upload
from qanat.server.files.owned import replace_file


def attach(row: DataFile, upload: Upload, actor: User) -> StoredFile:
    """Store a file of any type in place of the one before."""
    groups = groups_of_file(owner=row, actor=actor)
    file = store_upload(upload=upload, creator=actor, groups=groups, allowed_types=())
    replace_file(row, "file", file)
    return file


ENDPOINTS = [FileEndpoint(field="file", name="content", upload=attach, deletable=True)]


class DataFiles(ResourceView):
    """What all endpoints of data files have in common."""

    model = DataFile
    related = ("file",)
    prefetched = ("groups",)


class DataFileList(DataFiles, ListView):
    """``data_files/``."""

    filters = filters.filter_set(DataFile, filters.DATA_FILES)


class DataFileDetail(DataFiles, DetailView):
    """``data_files/{id}/``."""

    def remove(self, row: DataFile) -> None:
        """Delete the row and its file."""
        with transaction.atomic():
            file = row.file
            row.delete()
            delete_file(file)
