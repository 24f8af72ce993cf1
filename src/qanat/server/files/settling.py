"""Objects of which it was not settled whether anything needs them (``Unsettled``): a day later it is.

Nothing is removed that a row refers to. Each note goes last, so whoever is killed meanwhile is followed by the next.
"""

import logging
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import ManyToOneRel, Model, QuerySet

from qanat.server.files.models import ArchiveIndex, StoredFile, Unsettled
from qanat.server.files.operations import delete_file
from qanat.server.files.storage import storage
from qanat.storage.port import StorageError

logger = logging.getLogger(__name__)

LOOKED_AT_AFTER: Final = timedelta(days=1)
"""By then whatever was under way has ended: uploads are given up after as long."""
AT_ONCE: Final = 200
"""Notes that are looked at in one go."""
DEPENDENTS: Final = (ArchiveIndex, StoredFile.groups.through)
"""Tables that follow files, rather than need them."""


def settle(*, now: datetime, folder: Callable[[str], bool | None], in_use: Callable[[], Collection[str]]) -> int:
    """Look at what is due, the oldest first; return how many notes are settled.

    Args:
        now: the database's time.
        folder: settles a key that stands for a folder, and says whether it could; None: it stands for an object.
        in_use: returns the keys that something under way reads, though no row refers to their files.
    """
    due = Unsettled.objects.filter(since__lt=now - LOOKED_AT_AFTER).order_by("since", "key")
    keys = list(due.values_list("key", flat=True)[:AT_ONCE])
    needed = _needed(keys) | set(in_use()) if keys else set()
    settled: list[str] = []
    later: list[str] = []
    try:
        for key in keys:
            done = folder(key)
            if done is None and key not in needed:
                _remove(key)
            (later if done is False else settled).append(key)
    except StorageError as error:
        logger.warning("What nobody needs stays in storage until it answers: %s", error)
    Unsettled.objects.filter(pk__in=settled).delete()
    Unsettled.objects.filter(pk__in=later).update(since=now)
    return len(settled)


def _needed(keys: Collection[str]) -> set[str]:
    """Return those of the keys whose files some row has."""
    files = dict(StoredFile.objects.filter(key__in=keys).values_list("pk", "key"))
    return {files[pk] for table, column in _owners() for pk in _had(table, column, files)}


def _had(table: type[Model], column: str, files: Collection[int]) -> QuerySet[Any, int]:
    rows = table._base_manager.filter(**{f"{column}__in": files})  # noqa: SLF001 - Django's documented name
    return rows.values_list(column, flat=True)


def _remove(key: str) -> None:
    """Remove an object, and its file unless some row has got it just now."""
    with transaction.atomic():
        file = StoredFile.objects.select_for_update().filter(key=key).first()
        if file is not None and _needed([key]):
            return
        delete_file(file)
    storage().delete(key)


def _owners() -> list[tuple[type[Model], str]]:
    """Return the tables that have files, each with the column."""
    relations = StoredFile._meta.get_fields(include_hidden=True)  # noqa: SLF001 - Django's documented name
    return [
        (relation.related_model, relation.field.name)
        for relation in relations
        if isinstance(relation, ManyToOneRel) and relation.related_model not in DEPENDENTS
    ]
