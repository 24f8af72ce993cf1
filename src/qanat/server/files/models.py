"""The table of stored files."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.utils import timezone


class StoredFile(models.Model):
    """A user's or a run's file: an object in storage under a key of our own, and the name people know it by."""

    key = models.CharField(max_length=255, unique=True)
    filename = models.CharField(max_length=255)
    content_type = models.CharField(max_length=255)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64, blank=True)
    rows = models.BigIntegerField(null=True)
    """Number of records, once somebody has counted them."""
    creator = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    groups: "models.ManyToManyField[Any, Any]" = models.ManyToManyField(Group, related_name="+")
    created = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        """Name the file as its owner does."""
        return self.filename


class ArchiveIndex(models.Model):
    """Where the files in an archive lie, once somebody has read through it; see ``archives``."""

    file = models.OneToOneField(StoredFile, on_delete=models.CASCADE, primary_key=True, related_name="+")
    members = models.JSONField()
    """``{name: [size, offset in what is unpacked]}``."""
    sections = models.JSONField()
    """``[[offset in what is unpacked, offset in the archive], ...]``, ascending."""

    def __str__(self) -> str:
        """Name the archive."""
        return str(self.file)


class Unsettled(models.Model):
    """An object, or a folder of them, of which it is not settled whether anything needs it; looked at a day later.

    It is noted before an object is written and when what refers to it goes, so whoever is killed in between leaves a
    note. Objects that nobody has noted are none of our business: others may keep theirs in the same place.
    """

    key = models.CharField(max_length=255, primary_key=True)
    since = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        """Name the object."""
        return self.key
