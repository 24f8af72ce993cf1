"""Portfolios: create, list, change, delete, filter."""

import re

import pytest
from django.contrib.auth.models import User
from pytest_django import DjangoCaptureOnCommitCallbacks

from qanat.server.analyses.models import Analysis
from qanat.server.files.models import StoredFile
from qanat.server.files.storage import storage
from qanat.server.portfolios.models import Portfolio
from tests.api.caller import BAD_REQUEST, CREATED, NO_CONTENT, NOT_ALLOWED, NOT_FOUND, OK, UNSUPPORTED, Caller, ids
from tests.factories import make_file, make_portfolio, make_user

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
FILES = {"location_file", "accounts_file", "reinsurance_info_file", "reinsurance_scope_file"}
BOTH = {"id", "name", "created", "modified", "storage_links", *FILES}
DETAILS = {"exposure_status", "validation_status", "exposure_transform_status", "reporting_currency"}
LIST_FIELDS = {"v1": BOTH, "v2": {*BOTH, "groups", "currency_conversion_json"}}
DETAIL_FIELDS = {
    "v1": {*BOTH, *DETAILS, "currency_conversion_json"},
    "v2": {*BOTH, *DETAILS, "groups", "currency_conversion_json"},
}


def test_a_portfolio_is_created_from_a_name(api: Caller, version: str) -> None:
    answer = api.post("portfolios/", {"name": "Europe"})

    assert (answer.code, set(answer.body)) == (CREATED, DETAIL_FIELDS[version])
    assert answer.body["name"] == "Europe"
    assert all(answer.body[field] is None for field in FILES)


def test_a_new_portfolio_belongs_to_who_made_it(api: Caller, user: User) -> None:
    answer = api.post("portfolios/", {"name": "Europe"})

    assert Portfolio.objects.get(pk=answer.body["id"]).creator == user


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": None}, {"name": "x" * 256}, {"name": ["Europe"]}])
def test_a_portfolio_without_a_proper_name_is_refused_on_that_field(api: Caller, body: dict[str, object]) -> None:
    answer = api.post("portfolios/", body)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"name"})
    assert not Portfolio.objects.exists()


def test_a_body_that_is_no_object_is_refused(api: Caller) -> None:
    answer = api.post("portfolios/", ["Europe"])

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"non_field_errors"})


def test_broken_json_is_refused_with_where_it_breaks(api: Caller) -> None:
    answer = api.send("post", "portfolios/", '{"name": ')

    assert answer.code == BAD_REQUEST
    assert answer.body["detail"].startswith("JSON parse error - ")


def test_a_body_of_an_unknown_type_is_unsupported(api: Caller) -> None:
    answer = api.send("post", "portfolios/", "<name/>", content_type="text/xml")

    assert answer.code == UNSUPPORTED


def test_the_list_is_a_bare_array_in_the_order_of_ids(api: Caller, version: str) -> None:
    rows = [make_portfolio(name=name) for name in ("b", "a", "c")]

    answer = api.get("portfolios/")

    assert (answer.code, ids(answer)) == (OK, [row.pk for row in rows])
    assert set(answer.body[0]) == LIST_FIELDS[version]


def test_a_portfolio_has_the_fields_and_times_that_clients_know(
    api: Caller, portfolio: Portfolio, version: str
) -> None:
    answer = api.get(f"portfolios/{portfolio.pk}/")

    assert (answer.code, set(answer.body)) == (OK, DETAIL_FIELDS[version])
    assert TIME.fullmatch(answer.body["created"])
    assert TIME.fullmatch(answer.body["modified"])


def test_a_file_is_shown_by_where_it_is_what_it_is_called_and_its_key(
    api: Caller, portfolio: Portfolio, version: str
) -> None:
    shown = api.get(f"portfolios/{portfolio.pk}/").body["location_file"]

    assert shown["uri"] == f"http://testserver/{version}/portfolios/{portfolio.pk}/location_file/"
    assert (shown["name"], shown["stored"]) == ("location.csv", portfolio.location_file.key)
    conversion = {"converted_uri", "converted_stored", "conversion_state", "conversion_log_fie"}
    assert set(shown) == {"uri", "name", "stored", *(conversion if version == "v2" else ())}


def test_a_portfolio_is_renamed(api: Caller, portfolio: Portfolio) -> None:
    answer = api.patch(f"portfolios/{portfolio.pk}/", {"name": "Asia"})

    assert (answer.code, answer.body["name"]) == (OK, "Asia")
    assert Portfolio.objects.get().name == "Asia"


def test_an_empty_change_changes_nothing(api: Caller, portfolio: Portfolio) -> None:
    answer = api.patch(f"portfolios/{portfolio.pk}/", {})

    assert (answer.code, answer.body["name"]) == (OK, portfolio.name)


def test_a_replacement_needs_the_name(api: Caller, portfolio: Portfolio) -> None:
    answer = api.put(f"portfolios/{portfolio.pk}/", {})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"name"})


def test_a_replacement_without_the_last_slash_keeps_its_body(api: Caller, portfolio: Portfolio) -> None:
    answer = api.put(f"portfolios/{portfolio.pk}", {"name": "Asia"})

    assert (answer.code, answer.body["name"]) == (OK, "Asia")


def test_what_is_read_only_is_left_alone(api: Caller, portfolio: Portfolio) -> None:
    answer = api.patch(f"portfolios/{portfolio.pk}/", {"id": 99, "location_file": None, "exposure_status": "ERROR"})

    assert (answer.code, answer.body["id"]) == (OK, portfolio.pk)
    assert answer.body["location_file"] is not None
    assert answer.body["exposure_status"] == "NONE"


def test_a_portfolio_is_deleted_with_its_analyses_and_files(
    api: Caller, portfolio: Portfolio, analysis: Analysis
) -> None:
    answer = api.delete(f"portfolios/{portfolio.pk}/")

    assert (answer.code, answer.content) == (NO_CONTENT, b"")
    assert not Portfolio.objects.exists()
    assert not Analysis.objects.exists()


@pytest.mark.parametrize("number", ["1", "0", "99999999999999999999999"])
def test_a_portfolio_that_is_not_there_is_not_found(api: Caller, number: str) -> None:
    for answer in (
        api.get(f"portfolios/{number}/"),
        api.patch(f"portfolios/{number}/", {"name": "x"}),
        api.put(f"portfolios/{number}/", {"name": "x"}),
        api.delete(f"portfolios/{number}/"),
    ):
        assert answer.code == NOT_FOUND
        assert set(answer.body) == {"detail"}


def test_a_wrong_method_is_told_with_the_right_ones(api: Caller) -> None:
    answer = api.delete("portfolios/")

    assert (answer.code, answer.body) == (NOT_ALLOWED, {"detail": 'Method "DELETE" not allowed.'})
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"name": "EUROPE"}, ["Europe"]),
        ({"name": "Eur"}, []),
        ({"name__contains": "EUR"}, ["Europe"]),
        ({"created__gt": "2000-01-01"}, ["Europe", "Asia"]),
        ({"created__lt": "2000-01-01"}, []),
        ({"modified__gte": "2000-01-01", "name": "asia"}, ["Asia"]),
        ({"created": "2000-01-01"}, []),
        ({"created__date": "2000-01-01"}, []),
        ({"page": "2", "page_size": "1"}, ["Europe", "Asia"]),
    ],
)
def test_a_list_is_filtered(api: Caller, query: dict[str, str], found: list[str]) -> None:
    for name in ("Europe", "Asia"):
        make_portfolio(name=name)

    answer = api.get("portfolios/", **query)

    assert [row["name"] for row in answer.body] == found


def test_a_list_is_filtered_by_who_made_the_rows(api: Caller, user: User) -> None:
    make_portfolio(creator=make_user())
    mine = make_portfolio(creator=user)

    answer = api.get("portfolios/", user=user.username.upper())

    assert ids(answer) == [mine.pk]


@pytest.mark.parametrize("resource", ["portfolios", "models", "data_files"])
@pytest.mark.parametrize("value", ["yesterday", "2026-13-01", "2026-02-30"])
def test_filters_by_what_is_no_date_are_refused_by_name(api: Caller, resource: str, value: str) -> None:
    names = ("created", "created__date", "created__gte", "created__lt", "modified__lte")

    answer = api.get(f"{resource}/", **dict.fromkeys(names, value))

    assert (answer.code, answer.body) == (BAD_REQUEST, {name: ["Enter a valid date."] for name in names})


def test_storage_links_are_the_keys_of_the_files(api: Caller, portfolio: Portfolio) -> None:
    answer = api.get(f"portfolios/{portfolio.pk}/storage_links/")

    empty = dict.fromkeys([*FILES, "currency_conversion_json"])
    assert (answer.code, answer.body) == (OK, {**empty, "location_file": portfolio.location_file.key})


def test_the_currency_to_report_in_is_set_and_unset(api: Caller, portfolio: Portfolio) -> None:
    route = f"portfolios/{portfolio.pk}/reporting_currency/"

    before, given = api.get(route), api.post(route, {"reporting_currency": "USD"})
    after, unset = api.get(route), api.delete(route)

    assert before.code == NOT_FOUND
    assert given.body == after.body == {"reporting_currency": "USD"}
    assert (unset.code, unset.body) == (OK, {"reporting_currency": ""})
    assert api.delete(route).code == NOT_FOUND


@pytest.mark.parametrize("body", [{}, {"reporting_currency": ""}, {"reporting_currency": "x" * 16}])
def test_a_currency_that_is_none_is_refused(api: Caller, portfolio: Portfolio, body: dict[str, str]) -> None:
    answer = api.post(f"portfolios/{portfolio.pk}/reporting_currency/", body)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"reporting_currency"})


def test_a_deleted_portfolio_takes_its_files_along(
    api: Caller, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    file = make_file()
    row = make_portfolio(accounts_file=file)

    with django_capture_on_commit_callbacks(execute=True):
        api.delete(f"portfolios/{row.pk}/")

    assert not StoredFile.objects.exists()
    assert not storage().exists(file.key)
