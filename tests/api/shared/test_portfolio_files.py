"""The files of a portfolio: uploaded, shown, downloaded, replaced, deleted."""

import bz2
import gzip
import io
import re
import zipfile
from itertools import product

import pyarrow as pa
import pytest
from pyarrow import csv, parquet
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from qanat.server.files.models import StoredFile
from qanat.server.files.storage import storage
from qanat.server.portfolios.models import Portfolio
from tests.api.caller import BAD_REQUEST, NOT_FOUND, OK, Caller
from tests.documents import LOCATIONS
from tests.factories import make_portfolio

OED_FILES = ("location_file", "accounts_file", "reinsurance_info_file", "reinsurance_scope_file")
FILES = (*OED_FILES, "currency_conversion_json")
RECEIPT = {"created", "file", "filename", "groups", "conversion_state"}
PARQUET = "application/octet-stream"


def as_parquet(content: bytes) -> bytes:
    target = io.BytesIO()
    parquet.write_table(csv.read_csv(io.BytesIO(content)), target)
    return target.getvalue()


def as_zip(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("location.csv", content)
    return target.getvalue()


UPLOADS = {
    "csv": ("location.csv", "text/csv", LOCATIONS),
    "parquet": ("location.parquet", PARQUET, as_parquet(LOCATIONS)),
    "zip": ("location.zip", "application/zip", as_zip(LOCATIONS)),
    "gzip": ("location.csv.gz", "application/gzip", gzip.compress(LOCATIONS)),
    "bzip2": ("location.csv.bz2", "application/x-bzip2", bz2.compress(LOCATIONS)),
    "excel's csv": ("location.csv", "application/vnd.ms-excel", LOCATIONS),
    "no suffix": ("data", "text/csv", LOCATIONS),
}


@pytest.fixture
def empty(db: None) -> Portfolio:
    """A portfolio without files."""
    return make_portfolio(exposed=False)


@pytest.mark.parametrize(
    ("field", "kind"), [*product(["location_file"], UPLOADS), *product(OED_FILES[1:], ["csv", "zip"])]
)
def test_what_was_uploaded_comes_back_under_its_name_and_type(
    api: Caller, empty: Portfolio, field: str, kind: str
) -> None:
    name, content_type, content = UPLOADS[kind]

    api.upload(f"portfolios/{empty.pk}/{field}/", content, name=name, content_type=content_type)
    answer = api.get(f"portfolios/{empty.pk}/{field}/")

    assert (answer.code, answer.content) == (OK, content)
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'


@pytest.mark.parametrize("field", OED_FILES)
def test_an_upload_is_answered_with_a_receipt(api: Caller, empty: Portfolio, field: str) -> None:
    answer = api.upload(f"portfolios/{empty.pk}/{field}/", LOCATIONS, name="my.csv", content_type="text/csv")

    assert (answer.code, set(answer.body)) == (OK, {*RECEIPT, "converted_file", "mapping_file"})
    assert (answer.body["filename"], answer.body["groups"]) == ("my.csv", [])
    assert re.fullmatch(r"[0-9a-f]{32}\.csv", answer.body["file"])


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.tar.gz", ".tar.gz"), ("a.csv.gz", ".gz"), ("A.CSV", ".csv"), ("data", ""), ("../../etc/passwd", "")],
)
def test_a_file_is_stored_under_a_key_of_the_servers_own(api: Caller, empty: Portfolio, name: str, suffix: str) -> None:
    content_type = {".csv": "text/csv", "": "text/csv"}.get(suffix, "application/gzip")

    answer = api.upload(f"portfolios/{empty.pk}/location_file/", b"x", name=name, content_type=content_type)

    assert re.fullmatch(r"[0-9a-f]{32}" + re.escape(suffix), answer.body["file"])


def test_a_file_of_a_portfolio_is_shown_with_it(api: Caller, empty: Portfolio) -> None:
    receipt = api.upload(f"portfolios/{empty.pk}/accounts_file/", b"a\n1\n", name="acc.csv", content_type="text/csv")

    shown = api.get(f"portfolios/{empty.pk}/").body["accounts_file"]

    assert (shown["name"], shown["stored"]) == ("acc.csv", receipt.body["file"])


@pytest.mark.parametrize("field", OED_FILES)
@pytest.mark.parametrize("content_type", ["image/png", "nonsense"])
def test_a_file_of_another_type_is_refused_with_those_that_are_allowed(
    api: Caller, empty: Portfolio, field: str, content_type: str
) -> None:
    answer = api.upload(f"portfolios/{empty.pk}/{field}/", b"x", name="location", content_type=content_type)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"file"})
    assert "text/csv" in answer.body["file"][0]
    assert not StoredFile.objects.exists()


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("location.csv", PARQUET),
        ("location.parquet", "text/csv"),
        ("location.pq", "text/csv"),
        ("location.zip", "application/gzip"),
        ("location.csv.gz", "text/csv"),
        ("location.bz2", "application/zip"),
    ],
)
def test_a_type_that_contradicts_the_suffix_is_refused(
    api: Caller, empty: Portfolio, name: str, content_type: str
) -> None:
    answer = api.upload(f"portfolios/{empty.pk}/location_file/", b"x", name=name, content_type=content_type)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"file"})


@pytest.mark.parametrize("field", FILES)
def test_an_upload_needs_the_part_that_is_called_file(api: Caller, empty: Portfolio, field: str) -> None:
    route = f"portfolios/{empty.pk}/{field}/"

    misnamed = api.upload(route, LOCATIONS, name="a.csv", content_type="text/csv", part="document")
    as_json = api.post(route, {"file": "a.csv"})

    for answer in (misnamed, as_json):
        assert (answer.code, answer.body) == (BAD_REQUEST, {"file": ["No file was submitted."]})


def test_a_file_larger_than_this_server_accepts_is_refused_and_not_kept(
    api: Caller, empty: Portfolio, settings: Settings
) -> None:
    settings.QANAT = settings.QANAT.model_copy(update={"max_upload_bytes": len(LOCATIONS) - 1})

    answer = api.upload(f"portfolios/{empty.pk}/location_file/", LOCATIONS, name="a.csv", content_type="text/csv")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"file"})
    assert not StoredFile.objects.exists()


@pytest.mark.parametrize("field", FILES)
def test_a_file_that_is_not_there_is_not_found(api: Caller, empty: Portfolio, field: str) -> None:
    route = f"portfolios/{empty.pk}/{field}/"

    assert api.get(route).code == NOT_FOUND
    assert api.delete(route).code == NOT_FOUND


@pytest.mark.parametrize("field", FILES)
def test_a_file_is_deleted_with_an_empty_answer(api: Caller, empty: Portfolio, field: str) -> None:
    route = f"portfolios/{empty.pk}/{field}/"
    api.upload(route, b"a,b,c\n", name="a.csv", content_type="text/csv")

    answer = api.delete(route)

    assert (answer.code, answer.content) == (OK, b"")
    assert "Content-Type" not in answer.headers
    assert api.get(route).code == NOT_FOUND


def test_a_second_upload_replaces_the_first(
    api: Caller, empty: Portfolio, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    route = f"portfolios/{empty.pk}/location_file/"
    first = api.upload(route, b"a\n1\n", name="a.csv", content_type="text/csv").body["file"]

    with django_capture_on_commit_callbacks(execute=True):
        second = api.upload(route, b"a\n2\n", name="a.csv", content_type="text/csv").body["file"]

    assert api.get(route).content == b"a\n2\n"
    assert (storage().exists(first), storage().exists(second)) == (False, True)
    assert StoredFile.objects.count() == 1


def test_a_refused_upload_leaves_the_file_before(api: Caller, portfolio: Portfolio) -> None:
    route = f"portfolios/{portfolio.pk}/location_file/"

    api.upload(route, b"x", name="a.png", content_type="image/png")

    assert api.get(route).content == LOCATIONS


def test_csv_comes_as_parquet_where_asked(api: Caller, portfolio: Portfolio) -> None:
    answer = api.get(f"portfolios/{portfolio.pk}/location_file/", file_format="parquet")

    assert (answer.code, answer.headers["Content-Type"]) == (OK, PARQUET)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="location.csv.parquet"'
    assert parquet.read_table(pa.BufferReader(answer.content)).to_pylist() == [
        {"PortNumber": "1", "AccNumber": "A1", "LocNumber": "1", "BuildingTIV": 100000.0},
        {"PortNumber": "1", "AccNumber": "A1", "LocNumber": "2", "BuildingTIV": 200000.0},
    ]


def test_parquet_comes_as_csv_where_asked(api: Caller, empty: Portfolio) -> None:
    route = f"portfolios/{empty.pk}/location_file/"
    api.upload(route, as_parquet(LOCATIONS), name="location.parquet", content_type=PARQUET)

    answer = api.get(route, file_format="csv")

    assert (answer.code, answer.headers["Content-Type"]) == (OK, "text/csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="location.parquet.csv"'
    assert csv.read_csv(io.BytesIO(answer.content)).num_rows == 2


@pytest.mark.parametrize("file_format", ["csv", "xlsx", ""])
def test_another_format_is_no_conversion(api: Caller, portfolio: Portfolio, file_format: str) -> None:
    answer = api.get(f"portfolios/{portfolio.pk}/location_file/", file_format=file_format)

    assert (answer.content, answer.headers["Content-Type"]) == (LOCATIONS, "text/csv")


def test_a_currency_table_of_json_is_kept_as_it_is(api: Caller, empty: Portfolio) -> None:
    route = f"portfolios/{empty.pk}/currency_conversion_json/"

    receipt = api.upload(route, b'{"a": 1}', name="rates.json", content_type="application/json")

    assert (receipt.code, set(receipt.body)) == (OK, RECEIPT)
    assert api.get(route).content == b'{"a": 1}'


def test_a_currency_table_of_csv_becomes_the_kernels_document(api: Caller, empty: Portfolio) -> None:
    route = f"portfolios/{empty.pk}/currency_conversion_json/"

    receipt = api.upload(route, b"from,to,rate\nUSD,GBP,0.8\n", name="rates.csv", content_type="text/csv")

    assert receipt.body["filename"] == "currency_conversion.json"
    assert api.get(route).body == {
        "currency_conversion_type": "DictBasedCurrencyRates",
        "source_type": "list",
        "currency_rates": [["USD", "GBP", 0.8]],
    }


@pytest.mark.parametrize("row", ["USD,GBP", "USD,GBP,cheap"])
def test_a_currency_table_that_is_none_is_refused_with_the_line(api: Caller, empty: Portfolio, row: str) -> None:
    content = f"from,to,rate\nUSD,EUR,0.9\n{row}\n".encode()

    answer = api.upload(
        f"portfolios/{empty.pk}/currency_conversion_json/", content, name="a.csv", content_type="text/csv"
    )

    assert answer.code == BAD_REQUEST
    assert answer.body["file"][0].startswith("Line 3 ")


@pytest.fixture
def kept_as_parquet(settings: Settings) -> None:
    """A server that keeps csv as parquet."""
    settings.QANAT = settings.QANAT.model_copy(update={"portfolio_parquet_storage": True})


def test_a_csv_file_is_kept_as_parquet_where_the_server_is_set_so(
    api: Caller,
    empty: Portfolio,
    kept_as_parquet: None,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    route = f"portfolios/{empty.pk}/location_file/"

    with django_capture_on_commit_callbacks(execute=True):
        receipt = api.upload(route, LOCATIONS, name="loc.csv", content_type="text/csv").body
    answer = api.get(route)

    assert (receipt["filename"], receipt["file"][-8:]) == ("loc.csv.parquet", ".parquet")
    assert answer.headers["Content-Type"] == PARQUET
    assert parquet.read_table(pa.BufferReader(answer.content)).num_rows == 2
    assert [file.key for file in StoredFile.objects.all()] == [receipt["file"]]


def test_a_csv_file_that_cannot_be_kept_as_parquet_is_refused_and_the_one_before_stays(
    api: Caller, portfolio: Portfolio, kept_as_parquet: None
) -> None:
    route = f"portfolios/{portfolio.pk}/location_file/"

    answer = api.upload(route, b"PortNumber,BuildingTIV\n1,a lot\n", name="loc.csv", content_type="text/csv")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"error", "detail", "exception"})
    assert "'loc.csv' cannot be read as OED" in answer.body["detail"]
    assert api.get(route).content == LOCATIONS
    assert StoredFile.objects.count() == 1


def test_what_comes_as_something_else_is_kept_as_it_is(api: Caller, empty: Portfolio, kept_as_parquet: None) -> None:
    name, content_type, content = UPLOADS["gzip"]

    api.upload(f"portfolios/{empty.pk}/location_file/", content, name=name, content_type=content_type)

    assert api.get(f"portfolios/{empty.pk}/location_file/").content == content
