"""Where logging in is disabled everybody is the first administrator, in both versions; but no page of another site."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from qanat.server.portfolios.models import Portfolio
from tests.api.caller import BAD_REQUEST, CREATED, FORBIDDEN, OK, Caller
from tests.factories import make_group, make_portfolio, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nobody_logs_in")]


@pytest.fixture
def anybody() -> Caller:
    """A client that has not logged in."""
    return Caller(None)


@pytest.mark.parametrize("path", ["portfolios/", "models/", "analyses/", "data_files/"])
def test_everything_is_open_in_both_versions(anybody: Caller, version: str, path: str) -> None:
    make_portfolio(make_group())

    assert anybody.get(f"{version}/{path}").code == OK


def test_what_is_made_belongs_to_the_first_administrator(anybody: Caller, version: str) -> None:
    admin = make_user(staff=True, superuser=True)

    assert anybody.post(f"{version}/portfolios/", {"name": "P"}).code == CREATED

    assert Portfolio.objects.get().creator == admin


def test_an_administrator_without_a_password_is_made_where_there_is_none(anybody: Caller) -> None:
    anybody.get("v2/portfolios/")

    admin = User.objects.get()
    assert (admin.username, admin.is_superuser, admin.has_usable_password()) == ("admin", True, False)


def test_server_info_says_so_to_anybody(anybody: Caller) -> None:
    answer = anybody.get("server_info/")

    assert (answer.code, answer.body["config"]["API_AUTH_TYPE"]) == (OK, "disabled")


@pytest.mark.parametrize("given", [{"username": "a", "password": "b"}, {"client_id": "a", "client_secret": "b"}])
def test_logging_in_is_refused_with_the_words_that_the_stock_client_looks_for(
    anybody: Caller, given: dict[str, str]
) -> None:
    answer = anybody.post("access_token/", given)

    assert answer.code == BAD_REQUEST
    assert "flow is disabled" in answer.body[0]


def test_a_refresh_is_refused_likewise(anybody: Caller) -> None:
    answer = anybody.post("refresh_token/")

    assert (answer.code, "flow is disabled" in answer.body[0]) == (BAD_REQUEST, True)


def test_pages_of_other_sites_change_nothing_in_the_name_of_who_looks_at_them() -> None:
    post = {"path": "/api/v2/portfolios/", "data": {"name": "P"}}

    theirs = Client().post(**post, headers={"Origin": "https://evil.example"})  # type: ignore[arg-type]
    ours = Client().post(**post, headers={"Origin": "http://testserver"})  # type: ignore[arg-type]

    assert (theirs.status_code, ours.status_code) == (FORBIDDEN, CREATED)
