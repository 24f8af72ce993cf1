"""Who may see and change what (wire contract, section 3): one policy beneath both API versions.

Reads go through ``visible``; what is not in it does not exist for the actor. Writes also ask ``may_write``, which
refuses an object whose groups the actor has no part in, whether or not the actor can see it.
"""

from collections.abc import Collection
from typing import TypeVar

from django.contrib.auth.models import Group, User
from django.db.models import Model, Q, QuerySet

Row = TypeVar("Row", bound=Model)


class WriteRefused(Exception):
    """The object belongs to groups of which the actor is no member."""

    def __init__(self) -> None:
        """Use the sentence that clients know."""
        super().__init__("You do not have permission to perform this action.")


class GroupsRefused(Exception):
    """The actor may not give an object these groups."""


def visible(rows: QuerySet[Row], *, actor: User, through: str = "") -> QuerySet[Row]:
    """Return the rows that ``actor`` may see.

    Args:
        rows: of a table that has ``groups``, or reaches it through ``through``.
        actor: the user.
        through: relation to the table with the groups, such as ``portfolio``. Rows that inherit their groups are also
            seen by members of other groups where the groups are empty.
    """
    if actor.is_superuser:
        return rows
    groups = f"{through}__groups" if through else "groups"
    groupless = Q(**{f"{groups}__isnull": True})
    mine = list(actor.groups.values_list("pk", flat=True))
    if not mine:
        return rows.filter(groupless)
    shared = Q(**{f"{groups}__in": mine})
    return rows.filter(shared | groupless if through else shared).distinct()


def may_write(*, actor: User, groups: Collection[Group]) -> None:
    """Refuse a write to an object with these groups.

    Raises:
        WriteRefused: it has groups, none of which is the actor's, and the actor is no staff.
    """
    if not groups or actor.is_staff or actor.is_superuser:
        return
    if not {group.pk for group in groups} & set(actor.groups.values_list("pk", flat=True)):
        raise WriteRefused


def groups_for(*, actor: User, names: Collection[str] | None) -> list[Group]:
    """Return the groups that an object gets when ``actor`` asks for ``names`` (None: did not ask).

    Raises:
        GroupsRefused: the actor is a member of none of them, or asks for none while being in some.
    """
    own = list(actor.groups.all())
    if names is None:
        return own
    if actor.is_staff or actor.is_superuser:
        return [Group.objects.get_or_create(name=name)[0] for name in names]
    if not names and own:
        message = "A member of groups cannot make an object without groups; leave the field out to use your own."
        raise GroupsRefused(message)
    shared = [group for group in own if group.name in names]
    unknown = set(names) - set(Group.objects.filter(name__in=names).values_list("name", flat=True))
    if unknown or (names and not shared):
        message = f"user is not member of group(s): {sorted(unknown or names)}"
        raise GroupsRefused(message)
    return shared
