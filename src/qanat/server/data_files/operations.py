"""Writes of data files."""

from django.contrib.auth.models import User
from django.db import transaction

from qanat.server.accounts.access import groups_of_file
from qanat.server.data_files.models import DataFile
from qanat.server.files.models import StoredFile
from qanat.server.files.operations import Upload, delete_file, store_upload
from qanat.server.files.owned import replace_file


def attach_content(*, data_file: DataFile, upload: Upload, actor: User) -> StoredFile:
    """Store a file of any type in place of the one before.

    Raises:
        UploadRefused: its type contradicts its suffix, or it is too large.
    """
    groups = groups_of_file(owner=data_file, actor=actor)
    file = store_upload(upload=upload, creator=actor, groups=groups, allowed_types=())
    replace_file(data_file, "file", file)
    return file


def delete_data_file(data_file: DataFile) -> None:
    """Delete a data file and its content; models and analyses no longer refer to it."""
    with transaction.atomic():
        file = data_file.file
        data_file.delete()
        delete_file(file)
