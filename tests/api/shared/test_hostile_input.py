"""Bad input gets a clear answer, whatever it is."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from qanat.server.analyses.models import Analysis
from qanat.server.files.storage import storage
from qanat.server.portfolios.models import Portfolio
from tests.api.caller import BAD_REQUEST, NOT_FOUND, OK, Caller


@pytest.mark.parametrize("name", [r"\u0000", r"\ud800"])
def test_characters_that_no_database_keeps_are_refused_on_the_field(api: Caller, name: str) -> None:
    answer = api.send("post", "portfolios/", f'{{"name": "{name}"}}')

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"name"})


def test_a_filter_with_such_a_character_is_refused_by_name(api: Caller) -> None:
    answer = api.get("portfolios/", name="\x00")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"name"})


def test_a_body_that_is_no_text_is_refused(user: User, version: str) -> None:
    client = APIClient()
    client.force_authenticate(user)

    body: Any = b'{"name": "\xff"}'  # the client takes bytes, its stubs do not say so
    answer = client.generic("POST", f"/{version}/portfolios/", body, content_type="application/json")

    assert answer.status_code == BAD_REQUEST


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=x"])
def test_a_form_that_is_torn_is_refused_and_leaves_the_file_before(
    api: Caller, portfolio: Portfolio, content_type: str
) -> None:
    route = f"portfolios/{portfolio.pk}/location_file/"

    answer = api.send("post", route, "junk", content_type=content_type)

    assert answer.code == BAD_REQUEST
    assert api.get(route).code == OK


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Größe.csv", "attachment; filename*=utf-8''Gr%C3%B6%C3%9Fe.csv"),
        ('a"b.csv', 'attachment; filename="a\\"b.csv"'),
        ("../../etc/passwd", 'attachment; filename="passwd"'),
    ],
)
def test_the_name_of_a_file_is_a_label_and_no_path_or_header(
    api: Caller, portfolio: Portfolio, given: str, kept: str
) -> None:
    route = f"portfolios/{portfolio.pk}/location_file/"

    api.upload(route, b"x", name=given, content_type="text/csv")

    assert api.get(route).headers["Content-Disposition"] == kept


def test_line_breaks_in_the_name_of_a_file_make_no_header(api: Caller, portfolio: Portfolio) -> None:
    route = f"portfolios/{portfolio.pk}/location_file/"

    api.upload(route, b"x", name="a\r\nX-Evil: yes.csv", content_type="text/csv")

    answer = api.get(route)
    assert answer.code == OK
    assert "X-Evil" not in answer.headers


def test_an_object_that_storage_lost_is_not_found(api: Caller, portfolio: Portfolio) -> None:
    storage().delete(portfolio.location_file.key)

    answer = api.get(f"portfolios/{portfolio.pk}/location_file/")

    assert (answer.code, set(answer.body)) == (NOT_FOUND, {"detail"})


def test_settings_nested_without_end_are_answered(api: Caller, analysis: Analysis) -> None:
    depth = 300
    document = '{"model_settings": ' * depth + "{}" + "}" * depth

    assert api.send("post", f"analyses/{analysis.pk}/settings/", document).code == BAD_REQUEST


@pytest.mark.parametrize("path", ["portfolios/", "models/", "data_files/", "analyses/"])
def test_a_list_tells_what_may_be_asked_of_it(user: User, version: str, path: str) -> None:
    client = APIClient()
    client.force_authenticate(user)

    answer = client.options(f"/{version}/{path}")

    assert answer.status_code == OK
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))
