"""A file is read by those who see what it belongs to, now rather than when it came."""

import pytest
from django.contrib.auth.models import Group, User

from qanat.server.files.models import StoredFile
from qanat.server.files.queries import readable_files
from tests.factories import (
    make_analysis,
    make_data_file,
    make_file,
    make_group,
    make_model,
    make_portfolio,
    make_user,
)

KINDS = ("portfolio", "analysis", "model", "data file")


def file_of(kind: str, *groups: Group) -> StoredFile:
    """Return a file of a row that belongs to these groups."""
    file = make_file()
    if kind == "portfolio":
        make_portfolio(*groups, exposed=False, currency_conversion_json=file)
    elif kind == "analysis":
        make_analysis(portfolio=make_portfolio(*groups, exposed=False), output_file=file)
    elif kind == "model":
        make_model(*groups, settings_file=file)
    else:
        make_data_file(*groups, file=file)
    return file


def reads(user: User, file: StoredFile) -> bool:
    return readable_files(user).filter(pk=file.pk).exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_a_group_is_read_by_its_members(kind: str, group: Group, member: User) -> None:
    file = file_of(kind, group)

    assert reads(member, file)
    assert reads(make_user(superuser=True), file)
    for other in (make_user(), make_user(make_group()), make_user(staff=True)):
        assert not reads(other, file)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_no_group_is_read_by_those_who_see_its_row(kind: str, member: User) -> None:
    file = file_of(kind)

    assert reads(make_user(), file)
    assert reads(member, file) == (kind == "analysis")


def test_a_file_follows_its_row_from_group_to_group(group: Group, member: User) -> None:
    file = make_file(groups=[group])
    portfolio = make_portfolio(group, location_file=file)
    before = reads(member, file)

    portfolio.groups.set([make_group()])

    assert (before, reads(member, file)) == (True, False)


def test_a_file_of_nothing_is_read_by_superusers_only(group: Group, member: User) -> None:
    file = make_file(groups=[group])

    assert not reads(member, file)
    assert not reads(make_user(), file)
    assert reads(make_user(superuser=True), file)
