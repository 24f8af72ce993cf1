"""Who may see and change what: the one policy beneath both versions of the API, the websocket and the files.

The rules are ``domain.access``; here they meet users and rows. Reads go through ``visible``: what is not in it does
not exist for the actor. Writes also ask ``may_write``, which refuses an object whose groups the actor has no part in,
whether or not the actor can see it. ``api/common/policy.py`` has every endpoint ask before its own code runs.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, TypeVar

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.models import Exists, Model, OuterRef, QuerySet

from qanat.domain import access
from qanat.domain.access import Actor, GroupsRefused
from qanat.server.config.prepared import Prepared, Row

__all__ = ["GroupsRefused", "WriteRefused", "actor_of", "groups_for", "may_write", "visible"]

Table = TypeVar("Table", bound=Model)


class WriteRefused(Exception):
    """The object belongs to groups of which the actor is no member."""

    def __init__(self) -> None:
        """Use the sentence that clients know."""
        super().__init__("You do not have permission to perform this action.")


_groups_of_users = Prepared(lambda users: Group.objects.filter(user__in=users).order_by().values_list("pk"))


def actor_of(user: User) -> Actor:
    """Return what the rules need to know of a user; the groups are read once in the life of ``user``, a request's."""
    found: Actor | None = user.__dict__.get("_actor")
    return found or _as_actor(user, groups=(group for (group,) in _groups_of_users([user.pk])))


def _as_actor(user: User, *, groups: Iterable[int]) -> Actor:
    """Return a user of these groups as the rules know them; ``actor_of`` remembers it."""
    actor = Actor(groups=frozenset(groups), is_staff=user.is_staff, is_superuser=user.is_superuser)
    user.__dict__["_actor"] = actor
    return actor


FLAGS: Final = ("is_superuser", "is_staff", "is_active")
KNOWN: Final = [
    field.attname
    for field in User._meta.concrete_fields  # noqa: SLF001 - Django's documented name
    if field.attname not in {"last_login", "date_joined"}
]
"""Columns of a user in the table's order, the id first, but for those that databases write in different ways."""
_users_with_groups = Prepared(lambda pks: User.objects.filter(pk__in=pks).order_by().values_list(*KNOWN, "groups"))


def users_with_groups(pks: Collection[int]) -> dict[int, User]:
    """Return users as they are now, by id; what ``actor_of`` says of them is read in the same query."""
    rows_of: dict[int, list[Row]] = {}
    for row in _users_with_groups(pks):
        rows_of.setdefault(row[0], []).append(row)
    return {pk: _user_of(rows) for pk, rows in rows_of.items()}


def _user_of(rows: list[Row]) -> User:
    """Return the user of whom there is a row a group, or a single one without."""
    known = dict(zip(KNOWN, rows[0], strict=False))
    known |= {flag: bool(known[flag]) for flag in FLAGS}  # SQLite has numbers for them.
    user = User.from_db(connection.alias, KNOWN, list(known.values()))
    _as_actor(user, groups=(group for *_, group in rows if group is not None))
    return user


def rules_of_groups_hold(version: str) -> bool:
    """Return whether a version of the API follows the rules of groups: V2 always, V1 unless the site opened it."""
    return version != "v1" or settings.QANAT.enforce_groups_on_v1


def visible(rows: QuerySet[Table], *, actor: User, through: str = "", version: str = "") -> QuerySet[Table]:
    """Return the rows that ``actor`` may see (``domain.access.sees``), without a join that could repeat them.

    Args:
        rows: of a table that has ``groups``, or reaches it through ``through``.
        actor: the user.
        through: relation to the table with the groups, such as ``portfolio``.
        version: of the API through which the actor asks; empty where there is none.
    """
    if actor.is_superuser or not rules_of_groups_hold(version):
        return rows
    memberships, owner = _memberships(rows.model, through)
    belonging = memberships.filter(**{owner: OuterRef(through or "pk")})
    mine = actor_of(actor).groups
    if not mine:
        return rows.filter(~Exists(belonging))
    shared = Exists(belonging.filter(group__in=mine))
    return rows.filter(shared | ~Exists(belonging)) if through else rows.filter(shared)


def is_visible(*, groups: Callable[[], Iterable[int]], actor: User, through: str = "", version: str = "") -> bool:
    """Return whether ``actor`` may see a row: what ``visible`` asks the database.

    Args:
        groups: returns the ids of those of the row, or of what it inherits them from; called where they matter.
        actor: the user.
        through: relation to the table with the groups.
        version: of the API, as above.
    """
    if actor.is_superuser or not rules_of_groups_hold(version):
        return True
    return access.sees(actor_of(actor), frozenset(groups()), inherited=bool(through))


def all_visible(rows: Iterable[Model], *, actor: User, version: str = "") -> bool:
    """Return whether the actor may see all of these rows, which are of one table with groups of its own."""
    wanted = {row.pk: type(row) for row in rows}
    if not wanted:
        return True
    [table] = set(wanted.values())
    found = table._default_manager.filter(pk__in=wanted)  # noqa: SLF001 - Django's documented name
    return visible(found, actor=actor, version=version).count() == len(wanted)


def may_write(*, actor: User, groups: Collection[Group], version: str = "") -> None:
    """Refuse a write to an object with these groups.

    Raises:
        WriteRefused: it has groups, none of which is the actor's, and the actor is no staff.
    """
    if rules_of_groups_hold(version) and not access.may_write(actor_of(actor), {group.pk for group in groups}):
        raise WriteRefused


def may_write_row(*, actor: User, table: type[Model], pk: int, through: str = "", version: str = "") -> None:
    """Refuse a write to a row, if it is there; in one query.

    Raises:
        WriteRefused: as ``may_write``.
    """
    if actor.is_superuser or actor.is_staff or not rules_of_groups_hold(version):
        return
    groups = table._default_manager.filter(pk=pk).values_list(  # noqa: SLF001 - Django's documented name
        f"{through}__groups" if through else "groups", flat=True
    )
    if not access.may_write(actor_of(actor), {group for group in groups if group is not None}):
        raise WriteRefused


def may_read_system_logs(*, actor: User, version: str) -> bool:
    """Return whether the actor may have tracebacks and logs: a site may keep them for staff, in V1."""
    return version != "v1" or not settings.QANAT.restrict_system_logs or actor.is_staff


def priorities_withheld(actor: User) -> list[int]:
    """Return the priorities that the actor may not give to an analysis."""
    return [] if actor.is_staff else settings.QANAT.priority_admin_levels


def groups_for(*, actor: User, names: Collection[str] | None) -> list[Group]:
    """Return the groups that an object gets when ``actor`` asks for ``names`` (None: did not ask).

    Staff give any group, and make those that are missing.

    Raises:
        GroupsRefused: as ``domain.access.groups_granted``.
    """
    own = {group.name: group for group in actor.groups.all()}
    if names is not None and (actor.is_staff or actor.is_superuser):
        return [Group.objects.get_or_create(name=name)[0] for name in names]
    known = set(Group.objects.filter(name__in=names).values_list("name", flat=True)) if names else set()
    return [own[name] for name in access.groups_granted(own=own.keys(), known=known, asked=names)]


def groups_of_file(*, owner: Any, actor: User) -> list[Group]:  # noqa: ANN401 - a row with groups
    """Return the groups of a file of ``owner``, a portfolio, model or data file: those, or else the uploader's."""
    return list(owner.groups.all() or actor.groups.all())


def _memberships(table: type[Model], through: str) -> tuple[QuerySet[Any], str]:
    """Return the rows that join owners to groups, and what the owner is called in them."""
    owner: type[Model] = table
    for name in filter(None, through.split("__")):
        related = owner._meta.get_field(name).related_model  # noqa: SLF001 - Django's documented name
        owner = related  # type: ignore[assignment] # a relation to one of our tables
    groups: Any = owner._meta.get_field("groups")  # noqa: SLF001
    return groups.remote_field.through._default_manager.all(), groups.m2m_field_name()  # noqa: SLF001
