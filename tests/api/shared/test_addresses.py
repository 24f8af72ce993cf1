"""Every route stands at the root and under ``/api/``; links follow the address under which a request came."""

import pytest
from django.contrib.auth.models import User

from qanat.server.analyses.models import Analysis
from qanat.server.portfolios.models import Portfolio
from tests.api.caller import CREATED, NOT_FOUND, OK, Caller


@pytest.fixture(params=["", "api"])
def prefix(request: pytest.FixtureRequest) -> str:
    """Each address of the API."""
    return str(request.param)


@pytest.fixture
def api(user: User, version: str, prefix: str) -> Caller:
    """The API at that address."""
    return Caller(user, version, prefix=prefix)


@pytest.mark.parametrize("path", ["healthcheck/", "server_info/"])
def test_routes_without_a_version_stand_at_both(user: User, prefix: str, path: str) -> None:
    assert Caller(user, prefix=prefix).get(path).code == OK


@pytest.mark.parametrize("resource", ["portfolios", "models", "data_files"])
def test_lists_stand_at_both(api: Caller, resource: str) -> None:
    answer = api.get(f"{resource}/")

    assert (answer.code, answer.body) == (OK, [])


def test_links_of_a_portfolio_lead_to_where_it_was_found(
    api: Caller, portfolio: Portfolio, version: str, prefix: str
) -> None:
    shown = api.get(f"portfolios/{portfolio.pk}/").body

    base = "/".join(filter(None, ["http://testserver", prefix, version, "portfolios", str(portfolio.pk)]))
    assert shown["location_file"]["uri"] == f"{base}/location_file/"
    assert shown["storage_links"] == f"{base}/storage_links/"


def test_a_link_can_be_followed(api: Caller, ready: Analysis, user: User) -> None:
    link = api.get(f"analyses/{ready.pk}/").body["input_file"]

    answer = Caller(user).get(link.removeprefix("http://testserver/"))

    assert (answer.code, answer.headers["Content-Type"]) == (OK, "application/gzip")


def test_links_follow_a_proxy(user: User, portfolio: Portfolio, version: str) -> None:
    headers = {"X-Forwarded-Host": "cat.example", "X-Forwarded-Proto": "https"}

    shown = Caller(user, version, prefix="api", headers=headers).get(f"portfolios/{portfolio.pk}/").body

    assert shown["storage_links"] == f"https://cat.example/api/{version}/portfolios/{portfolio.pk}/storage_links/"


def test_a_missing_last_slash_is_forgiven(api: Caller, portfolio: Portfolio) -> None:
    found = api.get(f"portfolios/{portfolio.pk}")
    made = api.post("portfolios", {"name": "P"})

    assert (found.code, made.code) == (OK, CREATED)


@pytest.mark.parametrize("path", ["nothing/", "portfolios/one/", "portfolios/1/convert/", "models/1/resource_file/"])
def test_a_route_that_is_none_is_not_found(api: Caller, path: str) -> None:
    assert api.get(path).code == NOT_FOUND


def test_answers_are_json_whatever_the_client_accepts(user: User, version: str, portfolio: Portfolio) -> None:
    picky = Caller(user, version, headers={"Accept": "text/html"})

    assert picky.get(f"portfolios/{portfolio.pk}/").body["id"] == portfolio.pk
    assert picky.get("portfolios/", format="json").code == OK
    assert picky.get("portfolios/", format="xml").code == NOT_FOUND


def test_a_download_is_served_to_a_client_that_accepts_json(user: User, version: str, portfolio: Portfolio) -> None:
    stock = Caller(user, version, headers={"Accept": "application/json"})

    answer = stock.get(f"portfolios/{portfolio.pk}/location_file/")

    assert (answer.code, answer.headers["Content-Type"]) == (OK, "text/csv")


def test_no_answer_may_be_taken_for_another_type(api: Caller, portfolio: Portfolio) -> None:
    for path in (f"portfolios/{portfolio.pk}/", f"portfolios/{portfolio.pk}/location_file/"):
        assert api.get(path).headers["X-Content-Type-Options"] == "nosniff"
