"""A list costs as many queries for twenty rows as for one, and a row as many whatever hangs on it."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework_simplejwt.tokens import AccessToken

from tests.api.caller import OK, Caller
from tests.factories import (
    PASSWORD,
    make_analysis,
    make_data_file,
    make_file,
    make_group,
    make_model,
    make_portfolio,
    make_settings_file,
    make_user,
)

PORTFOLIO_FILES = ("location_file", "accounts_file", "reinsurance_info_file", "reinsurance_scope_file")
ANALYSIS_FILES = ("input_file", "output_file", "run_log_file", "lookup_errors_file")
MOST = 25
"""More than this for one request would be many, constant or not."""


@pytest.fixture
def member(group: Group) -> User:
    """Somebody of that group and another."""
    return make_user(group, make_group())


@pytest.fixture
def api(member: User, version: str) -> Caller:
    """The API for that member."""
    return Caller(member, version)


def queries_of(api: Caller, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert api.get(path).code == OK
    return len(queries)


def full_portfolio(group: Group) -> int:
    files: dict[str, Any] = {field: make_file() for field in PORTFOLIO_FILES}
    return make_portfolio(group, make_group(), **files).pk


def full_model(group: Group, *, data_files: int = 2) -> int:
    row = make_model(group, make_group(), settings_file=make_file())
    row.data_files.set(make_data_file(group, file=make_file()) for _ in range(data_files))
    return row.pk


def full_analysis(group: Group, *, data_files: int = 2) -> int:
    files: dict[str, Any] = {field: make_file() for field in ANALYSIS_FILES}
    portfolio = make_portfolio(group, make_group())
    row = make_analysis(portfolio=portfolio, model=make_model(group), settings_file=make_settings_file(), **files)
    row.complex_model_data_files.set(make_data_file(group, file=make_file()) for _ in range(data_files))
    return row.pk


def full_data_file(group: Group) -> int:
    return make_data_file(group, make_group(), file=make_file()).pk


MAKERS = {
    "portfolios": full_portfolio,
    "models": full_model,
    "data_files": full_data_file,
    "analyses": full_analysis,
}


@pytest.mark.parametrize("resource", MAKERS)
def test_a_list_of_twenty_costs_as_much_as_a_list_of_one(api: Caller, group: Group, resource: str) -> None:
    MAKERS[resource](group)
    one = queries_of(api, f"{resource}/")

    for _ in range(19):
        MAKERS[resource](group)

    assert len(api.get(f"{resource}/").body) == 20
    assert queries_of(api, f"{resource}/") == one <= MOST


@pytest.mark.parametrize("resource", MAKERS)
def test_a_row_costs_as_much_beside_others_as_alone(api: Caller, group: Group, resource: str) -> None:
    pk = MAKERS[resource](group)
    alone = queries_of(api, f"{resource}/{pk}/")

    for _ in range(19):
        MAKERS[resource](group)

    assert queries_of(api, f"{resource}/{pk}/") == alone <= MOST


@pytest.mark.parametrize("route", ["", "storage_links/", "run_progress/", "data_files/"])
def test_an_analysis_costs_as_much_with_twenty_data_files_as_with_one(api: Caller, group: Group, route: str) -> None:
    small, large = full_analysis(group, data_files=1), full_analysis(group, data_files=20)

    few, many = queries_of(api, f"analyses/{small}/{route}"), queries_of(api, f"analyses/{large}/{route}")

    assert many == few <= MOST


@pytest.mark.parametrize(("path", "most"), [("server_info/", 1), ("v2/data_files/", 2)])
def test_knowing_who_asks_and_of_which_groups_costs_one_query(member: User, path: str, most: int) -> None:
    asking = Caller(None, headers={"Authorization": f"Bearer {AccessToken.for_user(member)}"})

    assert queries_of(asking, path) == most


def test_a_token_costs_three_queries(db: None, settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    user = make_user(password=PASSWORD)

    with CaptureQueriesContext(connection) as queries:
        answer = Caller(None).post("access_token/", {"username": user.username, "password": PASSWORD})

    assert (answer.code, len(queries)) == (OK, 3)  # what has failed of late, who this is, and the refresh token


@pytest.mark.parametrize("route", ["", "versions/", "data_files/"])
def test_a_model_costs_as_much_with_twenty_data_files_as_with_one(api: Caller, group: Group, route: str) -> None:
    small, large = full_model(group, data_files=1), full_model(group, data_files=20)

    few, many = queries_of(api, f"models/{small}/{route}"), queries_of(api, f"models/{large}/{route}")

    assert many == few <= MOST
