"""Reads of files."""

from django.contrib.auth.models import User
from django.db.models import Exists, ManyToOneRel, OuterRef, Q, QuerySet

from qanat.server.accounts.access import visible
from qanat.server.files.models import StoredFile
from qanat.server.files.owned import Owned


def readable_files(actor: User) -> QuerySet[StoredFile]:
    """Return the files that ``actor`` may read: those that belong to a row that the actor sees now.

    Found through whatever refers to files, so a file follows its row from group to group, and one that belongs to
    nothing is read by nobody but superusers. The groups noted with a file are those at its upload, for the receipt.
    """
    if actor.is_superuser:
        return StoredFile.objects.all()
    readable = Q(pk__in=())
    for relation in StoredFile._meta.get_fields(include_hidden=True):  # noqa: SLF001 - Django's documented name
        owner = relation.related_model
        if not (isinstance(relation, ManyToOneRel) and isinstance(owner, type) and issubclass(owner, Owned)):
            continue
        if owner.groups_through or hasattr(owner, "groups"):
            rows = owner._default_manager.filter(**{relation.field.name: OuterRef("pk")})  # noqa: SLF001
            readable |= Q(Exists(visible(rows, actor=actor, through=owner.groups_through)))
    return StoredFile.objects.filter(readable)
