"""Parts of files, and files that the client has already."""

import pytest
from rest_framework.test import APIClient

from qanat.server.files.storage import storage
from qanat.server.portfolios.models import Portfolio
from tests.api.caller import NOT_FOUND, OK, Answer, Caller
from tests.documents import LOCATIONS

PARTIAL, NOT_MODIFIED, UNSATISFIABLE = 206, 304, 416
SIZE = len(LOCATIONS)


def ask(api: Caller, portfolio: Portfolio, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Caller(api.user, api.version, headers=named).get(f"portfolios/{portfolio.pk}/location_file/")


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-", 0, SIZE),
        ("bytes=0-3", 0, 4),
        ("bytes=5-5", 5, 6),
        ("bytes=10-", 10, SIZE),
        ("bytes=-4", SIZE - 4, SIZE),
        (f"bytes=-{SIZE + 100}", 0, SIZE),
        (f"bytes=4-{SIZE + 100}", 4, SIZE),
    ],
)
def test_a_part_of_a_file_is_sent_where_asked(
    api: Caller, portfolio: Portfolio, wanted: str, start: int, end: int
) -> None:
    answer = ask(api, portfolio, Range=wanted)

    assert (answer.code, answer.content) == (PARTIAL, LOCATIONS[start:end])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.headers["Content-Length"] == str(end - start)
    assert answer.headers["Content-Type"] == "text/csv"


@pytest.mark.parametrize("wanted", [f"bytes={SIZE}-", "bytes=9999999-99999999", "bytes=-0"])
def test_a_part_beyond_the_file_is_refused_with_its_size(api: Caller, portfolio: Portfolio, wanted: str) -> None:
    answer = ask(api, portfolio, Range=wanted)

    assert (answer.code, answer.content) == (UNSATISFIABLE, b"")
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "bytes=",
        "bytes=-",
        "bytes=5-2",
        "lines=1-2",
        "bytes=0-1,4-5",
        "bytes=x-y",
        "bytes=\N{ARABIC-INDIC DIGIT ONE}-",
        f"bytes={'9' * 5000}-",
    ],
)
def test_what_is_no_single_range_is_answered_with_all_of_the_file(
    api: Caller, portfolio: Portfolio, wanted: str
) -> None:
    answer = ask(api, portfolio, Range=wanted)

    assert (answer.code, answer.content) == (OK, LOCATIONS)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "Content-Length" not in answer.headers


def test_a_client_that_has_the_file_is_told_so(api: Caller, portfolio: Portfolio) -> None:
    tag = ask(api, portfolio).headers["ETag"]

    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = ask(api, portfolio, If_None_Match=known)
        assert (answer.code, answer.content) == (NOT_MODIFIED, b"")
        assert answer.headers["ETag"] == tag
    assert ask(api, portfolio, If_None_Match='"other"').code == OK


def test_a_part_is_sent_only_of_the_file_that_the_client_has_begun(api: Caller, portfolio: Portfolio) -> None:
    tag = ask(api, portfolio).headers["ETag"]

    same = ask(api, portfolio, Range="bytes=0-3", If_Range=tag)
    other = ask(api, portfolio, Range="bytes=0-3", If_Range='"other"')

    assert (same.code, same.content) == (PARTIAL, LOCATIONS[:4])
    assert (other.code, other.content) == (OK, LOCATIONS)


def test_the_head_of_a_download_is_that_of_the_file(api: Caller, portfolio: Portfolio) -> None:
    client = APIClient()
    client.force_authenticate(api.user)

    answer = client.head(f"/{api.version}/portfolios/{portfolio.pk}/location_file/")
    answer.close()

    assert answer.status_code == OK
    assert (answer["Content-Type"], answer["Accept-Ranges"]) == ("text/csv", "bytes")


def test_a_file_whose_object_is_gone_is_not_found(api: Caller, portfolio: Portfolio) -> None:
    storage().delete(portfolio.location_file.key)

    answer = ask(api, portfolio)

    assert answer.code == NOT_FOUND
    assert "it was deleted" in answer.body["detail"]
