"""What the database is asked is what the rules say."""

from itertools import combinations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from qanat.domain.access import sees
from qanat.server.accounts.access import WriteRefused, actor_of, all_visible, may_write_row, visible
from qanat.server.analyses.models import Analysis
from qanat.server.portfolios.models import Portfolio
from tests.factories import make_analysis, make_group, make_portfolio, make_user

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("staff", [False, True])
@pytest.mark.parametrize("superuser", [False, True])
def test_rows_are_seen_as_the_rules_say(*, staff: bool, superuser: bool) -> None:
    groups = [make_group(), make_group(), make_group()]
    sets = [set(chosen) for size in range(4) for chosen in combinations(groups, size)]
    portfolios = {make_portfolio(*chosen, exposed=False).pk: {group.pk for group in chosen} for chosen in sets}
    analyses = {make_analysis(portfolio=Portfolio.objects.get(pk=pk)).pk: has for pk, has in portfolios.items()}

    for chosen in sets:
        user = make_user(*chosen, staff=staff, superuser=superuser)
        actor = actor_of(user)
        own = visible(Portfolio.objects.order_by("pk"), actor=user)
        inherited = visible(Analysis.objects.order_by("pk"), actor=user, through="portfolio")

        assert [row.pk for row in own] == [pk for pk, has in portfolios.items() if sees(actor, has)]
        assert [row.pk for row in inherited] == [pk for pk, has in analyses.items() if sees(actor, has, inherited=True)]


def test_all_are_visible_only_where_each_is() -> None:
    group = make_group()
    member, theirs, foreign = make_user(group), make_portfolio(group), make_portfolio(make_group())

    assert all_visible([], actor=member)
    assert all_visible([theirs, theirs], actor=member)
    assert not all_visible([theirs, foreign], actor=member)


def test_a_write_is_judged_in_one_query_by_groups_that_are_inherited_too() -> None:
    row = make_analysis(portfolio=make_portfolio(make_group(), make_group()))
    stranger = make_user(make_group())
    actor_of(stranger)

    with CaptureQueriesContext(connection) as queries, pytest.raises(WriteRefused):
        may_write_row(actor=stranger, table=Analysis, pk=row.pk, through="portfolio")

    assert len(queries) == 1


def test_a_write_to_what_is_not_there_is_left_to_whoever_looks_for_it() -> None:
    may_write_row(actor=make_user(), table=Analysis, pk=10**9, through="portfolio")


def test_the_groups_of_a_user_are_read_once() -> None:
    user = make_user(make_group())
    actor_of(user)

    with CaptureQueriesContext(connection) as queries:
        actor_of(user)

    assert len(queries) == 0
