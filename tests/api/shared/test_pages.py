"""Pages, search and order of a list, for who asks; without them it is the bare array of all rows."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.api.caller import BAD_REQUEST, OK, Answer, Caller
from tests.factories import make_analysis, make_data_file, make_model, make_portfolio

NAMES = ["Delta", "alpha", "Bravo", "alpha", "Echo", "Charlie", "Bravo"]


def pages(api: Caller, **query: str) -> Iterator[Answer]:
    """Follow the links from the first page to the last."""
    answer = api.get("portfolios/", **query)
    yield answer
    while "Link" in answer.headers:
        found = re.fullmatch(r'<http://testserver/v[12]/(portfolios/\?[^>]+)>; rel="next"', answer.headers["Link"])
        assert found is not None
        answer = api.get(found[1])
        yield answer


def names(answer: Answer) -> list[str]:
    return [row["name"] for row in answer.body]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("ordering", ["id", "-id", "name", "-name", "created", "-modified"])
def test_pages_together_are_the_list_in_its_order(api: Caller, limit: int, ordering: str) -> None:
    for name in NAMES:
        make_portfolio(name=name)
    whole = api.get("portfolios/", ordering=ordering)

    found = list(pages(api, limit=str(limit), ordering=ordering))

    assert [row for page in found for row in page.body] == whole.body
    assert all(len(page.body) == limit for page in found[:-1])
    assert len(whole.body) == len(NAMES)


def test_a_page_is_a_bare_array_and_the_last_leads_nowhere(api: Caller) -> None:
    make_portfolio()

    answer = api.get("portfolios/", limit="1")

    assert (answer.code, len(answer.body)) == (OK, 1)
    assert "Link" not in answer.headers


def test_pages_neither_repeat_nor_miss_a_row_when_others_come_and_go(api: Caller) -> None:
    first, second, third = (make_portfolio(name=name) for name in "bdf")
    following = pages(api, limit="1", ordering="name")
    seen = names(next(following))

    make_portfolio(name="a")
    make_portfolio(name="c")
    first.delete()
    seen += [name for page in following for name in names(page)]

    assert seen == ["b", "c", second.name, third.name]


def test_a_search_looks_for_a_part_whatever_the_case(api: Caller) -> None:
    for name in ("Europe wind", "Asia", "wind Japan"):
        make_portfolio(name=name)

    answer = api.get("portfolios/", q="WIND")

    assert names(answer) == ["Europe wind", "wind Japan"]


def test_a_search_goes_with_filters_and_pages(api: Caller) -> None:
    for name in ("Wind 1", "Wind 2", "Wind 3", "Flood"):
        make_portfolio(name=name)

    found = list(pages(api, q="wind", name__contains="i", ordering="-name", limit="2"))

    assert [names(page) for page in found] == [["Wind 3", "Wind 2"], ["Wind 1"]]


def test_analyses_are_found_by_the_names_of_what_they_join(api: Caller, version: str) -> None:
    model = make_model(run_mode=version.upper(), supplier_id="Zephyr")
    make_analysis(name="A", portfolio=make_portfolio(name="Aquitaine"), model=make_model())
    make_analysis(name="B", portfolio=make_portfolio(name="Bavaria"), model=model)

    assert names(api.get("analyses/", q="aquit")) == ["A"]
    assert names(api.get("analyses/", q="zephyr")) == ["B"]


def test_models_are_found_by_each_part_of_their_identity(api: Caller, version: str) -> None:
    for identity in (("Sup", "M", "1"), ("S", "Mod", "1"), ("S", "M", "Ver")):
        parts: dict[str, Any] = dict(zip(("supplier_id", "model_id", "version_id"), identity, strict=True))
        make_model(run_mode=version.upper(), **parts)

    found = [len(api.get("models/", q=part).body) for part in ("sup", "mod", "ver", "m")]

    assert found == [1, 1, 1, 3]


def test_data_files_are_found_by_what_they_are_called(api: Caller) -> None:
    make_data_file(file_description="Vulnerability")
    make_data_file(file_category="vulnerability")
    make_data_file()

    assert len(api.get("data_files/", q="VULN").body) == 2


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"limit": "²"}, "limit"),
        ({"limit": "1" * 5000}, "limit"),
        ({"ordering": "creator__password"}, "ordering"),
        ({"ordering": "--id"}, "ordering"),
        ({"ordering": "?"}, "ordering"),
        ({"cursor": "abc"}, "cursor"),
        ({"cursor": "abc", "limit": "1"}, "cursor"),
        ({"cursor": "é", "limit": "1"}, "cursor"),
        ({"cursor": "WyJpZCIsIG51bGwsIDFd", "limit": "1"}, "cursor"),  # ["id", null, 1]
        ({"cursor": "WyJpZCIsICJhIiwgMV0=", "limit": "1"}, "cursor"),  # ["id", "a", 1]
        ({"cursor": "WyJjcmVhdGVkIiwgIngiLCAxXQ==", "limit": "1", "ordering": "created"}, "cursor"),
        ({"cursor": "WzFd", "limit": "1"}, "cursor"),  # [1]
        ({"cursor": "WyJuYW1lIiwgIlx1MDAwMCIsIDFd", "limit": "1", "ordering": "name"}, "cursor"),  # ["name", "\\0", 1]
        ({"q": "a\x00"}, "q"),
    ],
)
def test_a_malformed_parameter_is_refused_by_name(api: Caller, query: dict[str, str], field: str) -> None:
    answer = api.get("portfolios/", **query)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {field})


def test_a_cursor_is_of_one_order(api: Caller) -> None:
    for name in NAMES:
        make_portfolio(name=name)
    link = api.get("portfolios/", limit="1", ordering="name").headers["Link"]
    cursor = re.search(r"cursor=([^&>]+)", link)
    assert cursor is not None

    answer = api.get(f"portfolios/?limit=1&ordering=-name&cursor={cursor[1]}")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"cursor"})


@pytest.mark.parametrize("resource", ["portfolios", "analyses", "models", "data_files"])
def test_a_page_costs_no_more_queries_than_the_list(api: Caller, version: str, resource: str) -> None:
    for number in range(5):
        make_analysis(name=str(number), model=make_model(run_mode=version.upper()))
        make_data_file()

    with CaptureQueriesContext(connection) as whole:
        api.get(f"{resource}/")
    with CaptureQueriesContext(connection) as page:
        assert len(api.get(f"{resource}/", limit="2", q="", ordering="-id").body) == 2

    assert len(page) == len(whole)
