"""Analyses listed: in order, by their filters, for those who see their portfolio."""

import pytest
from django.contrib.auth.models import User

from tests.api.caller import BAD_REQUEST, OK, Caller, ids
from tests.api.shared.test_analyses import FIELDS
from tests.factories import make_analysis, make_group, make_model, make_portfolio, make_user


def test_analyses_are_a_bare_array_in_the_order_of_ids(api: Caller, version: str) -> None:
    rows = [make_analysis(name=name) for name in ("b", "a")]

    answer = api.get("analyses/")

    assert (answer.code, ids(answer)) == (OK, [row.pk for row in rows])
    assert set(answer.body[0]) == FIELDS[version]


def test_the_numbers_of_events_are_text_in_the_list_of_v1_only(api: Caller, version: str) -> None:
    make_analysis(num_events_total=5)

    (row,) = api.get("analyses/").body

    assert row["num_events_total"] == ("5" if version == "v1" else 5)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"name": "WIND"}, ["Wind"]),
        ({"name__contains": "loo"}, ["Flood"]),
        ({"status": "READY"}, ["Flood"]),
        ({"status__in": "READY,NEW"}, ["Wind", "Flood"]),
        ({"status__in": ["RUN_ERROR", "NEW"]}, ["Wind"]),
        ({"created__gt": "2000-01-01"}, ["Wind", "Flood"]),
        ({"created__lt": "2000-01-01"}, []),
        ({"user": "nobody"}, []),
        ({"model": "999"}, []),
        ({"model__in": ["998", "999"]}, []),
        ({"page": "2", "page_size": "1"}, ["Wind", "Flood"]),
    ],
)
def test_analyses_are_filtered(api: Caller, query: dict[str, str], found: list[str]) -> None:
    make_analysis(name="Wind")
    make_analysis(name="Flood", status="READY")

    answer = api.get("analyses/", **query)

    assert [row["name"] for row in answer.body] == found


def test_analyses_are_filtered_by_model_and_by_who_made_them(api: Caller, user: User) -> None:
    mine, other = make_analysis(creator=user, model=make_model()), make_analysis()

    assert ids(api.get("analyses/", user=user.username)) == [mine.pk]
    assert ids(api.get("analyses/", model=str(mine.model_id))) == [mine.pk]
    assert ids(api.get("analyses/", model__in=[str(mine.model_id), str(other.model_id)])) == [mine.pk, other.pk]


@pytest.mark.parametrize(
    "query",
    [
        {"status": "LOST"},
        {"status": "ready"},
        {"status__in": "READY,LOST"},
        {"model": "PiWind"},
        {"model__in": "1,2"},
        {"created": "yesterday"},
        {"modified__gte": "2026-02-30"},
    ],
)
def test_a_filter_that_is_none_is_refused_by_name(api: Caller, query: dict[str, str]) -> None:
    answer = api.get("analyses/", **query)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, set(query))


@pytest.mark.parametrize(
    ("who", "sees"), [("same", ["grouped", "groupless"]), ("other", ["groupless"]), ("none", ["groupless"])]
)
def test_analyses_are_listed_by_the_groups_of_their_portfolios(
    version: str, db: None, who: str, sees: list[str]
) -> None:
    group = make_group()
    make_analysis(name="grouped", portfolio=make_portfolio(group))
    make_analysis(name="groupless")
    person = make_user(*{"same": [group], "other": [make_group()], "none": []}[who])

    answer = Caller(person, version).get("analyses/")

    assert [row["name"] for row in answer.body] == sees
