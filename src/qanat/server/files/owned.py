"""What portfolios, models, data files and analyses have in common: an owner, two times, and files of their own."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models, transaction

from qanat.server.files.models import StoredFile
from qanat.server.files.operations import delete_file


def file_field() -> "models.ForeignKey[Any, Any]":
    """Return a field that refers to one file, which nothing else refers to."""
    return models.ForeignKey(StoredFile, null=True, on_delete=models.SET_NULL, related_name="+")


class Owned(models.Model):
    """A row that somebody made; it has ``groups``, or says through which relation it inherits them."""

    groups_through: ClassVar[str] = ""

    creator = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")
    created = models.DateTimeField(auto_now_add=True)
    modified = models.DateTimeField(auto_now=True)

    class Meta:
        """Not a table."""

        abstract = True


def replace_file(owner: models.Model, field: str, file: StoredFile | None) -> None:
    """Attach ``file`` (None: nothing) to ``owner``; the file that was there before is deleted."""
    with transaction.atomic():
        before = getattr(owner, field)
        setattr(owner, field, file)
        columns = [field]
        if hasattr(owner, "modified"):
            columns.append("modified")
        owner.save(update_fields=columns)
        if before is not None and (file is None or before.pk != file.pk):
            delete_file(before)
