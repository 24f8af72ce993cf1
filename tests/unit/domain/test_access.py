"""The rules of groups, as the wire contract tells them (section 3)."""

from itertools import product

import pytest

from qanat.domain.access import Actor, GroupsRefused, groups_granted, may_write, sees

MINE, OTHER = 1, 2
MEMBER = Actor(groups={MINE})
LONER = Actor()
STAFF = Actor(is_staff=True)
SUPERUSER = Actor(is_superuser=True)


@pytest.mark.parametrize(
    ("actor", "groups", "own", "inherited"),
    [
        (MEMBER, {MINE}, True, True),
        (MEMBER, {MINE, OTHER}, True, True),
        (MEMBER, {OTHER}, False, False),
        (MEMBER, set(), False, True),
        (LONER, {OTHER}, False, False),
        (LONER, set(), True, True),
        (STAFF, {OTHER}, False, False),
        (STAFF, set(), True, True),
        (Actor(groups={MINE}, is_staff=True), set(), False, True),
        (SUPERUSER, {OTHER}, True, True),
        (SUPERUSER, set(), True, True),
    ],
)
def test_who_sees_what(actor: Actor, groups: set[int], *, own: bool, inherited: bool) -> None:
    assert sees(actor, groups) == own
    assert sees(actor, groups, inherited=True) == inherited


@pytest.mark.parametrize(
    ("actor", "groups", "allowed"),
    [
        (MEMBER, {MINE, OTHER}, True),
        (MEMBER, {OTHER}, False),
        (MEMBER, set(), True),
        (LONER, {OTHER}, False),
        (LONER, set(), True),
        (STAFF, {OTHER}, True),
        (SUPERUSER, {OTHER}, True),
    ],
)
def test_who_may_try_to_write_what(actor: Actor, groups: set[int], *, allowed: bool) -> None:
    assert may_write(actor, groups) == allowed


def test_whoever_sees_a_row_may_write_to_it() -> None:
    every_set: list[set[int]] = [set(), {MINE}, {OTHER}, {MINE, OTHER}]
    either = (False, True)
    for mine, theirs, inherited, staff, superuser in product(every_set, every_set, either, either, either):
        actor = Actor(groups=mine, is_staff=staff, is_superuser=superuser)
        assert may_write(actor, theirs) or not sees(actor, theirs, inherited=inherited)


@pytest.mark.parametrize(
    ("own", "asked", "granted"),
    [
        ({"a", "b"}, None, {"a", "b"}),
        ({"a", "b"}, ["a"], {"a"}),
        ({"a", "b"}, ["b", "foreign"], {"b"}),
        (set(), None, set()),
        (set(), [], set()),
    ],
)
def test_groups_are_the_actors_own(own: set[str], asked: list[str] | None, granted: set[str]) -> None:
    assert groups_granted(own=own, known={"a", "b", "foreign"}, asked=asked) == granted


@pytest.mark.parametrize(
    ("own", "asked", "named"),
    [
        ({"a"}, ["foreign"], r"\['foreign'\]"),
        ({"a"}, ["a", "unheard of"], r"\['unheard of'\]"),
        (set(), ["foreign"], r"\['foreign'\]"),
        ({"a"}, [], "without groups"),
    ],
)
def test_groups_that_are_refused_are_named(own: set[str], asked: list[str], named: str) -> None:
    with pytest.raises(GroupsRefused, match=named):
        groups_granted(own=own, known={"a", "foreign"}, asked=asked)
