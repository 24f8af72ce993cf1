"""Who may see and change what: the rules of groups (wire contract, section 3).

Portfolios, models and data files have groups of their own. Analyses inherit those of their portfolio, and files those
of what they belong to. The server translates ``sees`` into the database's terms in ``server/accounts/access.py``; a
test holds the two against each other.
"""

from collections.abc import Collection
from collections.abc import Set as AbstractSet
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Whoever asks: the groups, by id, of which they are a member, and their rank."""

    groups: AbstractSet[int] = frozenset()
    is_staff: bool = False
    is_superuser: bool = False


class GroupsRefused(Exception):
    """The actor may not give an object these groups; the message says which and why."""


def sees(actor: Actor, groups: AbstractSet[int], *, inherited: bool = False) -> bool:
    """Return whether a row with these groups exists for the actor; staff see no more than others.

    Args:
        actor: whoever asks.
        groups: of the row, or of what it inherits them from.
        inherited: whether they are another row's. What inherits no group at all is seen by everybody; what has none of
            its own is seen by those who are in no group.
    """
    if actor.is_superuser:
        return True
    if not groups:
        return inherited or not actor.groups
    return bool(groups & actor.groups)


def may_write(actor: Actor, groups: AbstractSet[int]) -> bool:
    """Return whether the actor may try to change a row with these groups; what is not seen is not found even so."""
    return actor.is_superuser or actor.is_staff or not groups or bool(groups & actor.groups)


def groups_granted(
    *, own: AbstractSet[str], known: AbstractSet[str], asked: Collection[str] | None
) -> AbstractSet[str]:
    """Return the names of the groups that a row gets from an actor who is no staff.

    Args:
        own: names of the actor's groups.
        known: those of the asked names that are groups at all.
        asked: what the actor asked for; None: nothing, which gives the actor's own.

    Raises:
        GroupsRefused: none of them is the actor's, one is unknown, or a member of groups asked for no group.
    """
    if asked is None:
        return own
    if not asked and own:
        message = "A member of groups cannot make an object without groups; leave the field out to use your own."
        raise GroupsRefused(message)
    unknown = set(asked) - known
    shared = own & set(asked)
    if unknown or (asked and not shared):
        message = f"user is not member of group(s): {sorted(unknown or asked)}"
        raise GroupsRefused(message)
    return shared
