"""OED files in another format: what cannot be converted is said to be so, and little memory is taken."""

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from pytest_django import Settings

from qanat.server.files import conversion
from qanat.server.files.conversion import ConversionsBusy, NotConvertible, converted
from qanat.server.files.models import StoredFile
from tests.factories import make_file

pytestmark = pytest.mark.django_db
PARQUET = "application/octet-stream"


def as_table(file: StoredFile) -> pa.Table:
    with converted(file, to="parquet", reader="location") as stream:
        return parquet.read_table(pa.BufferReader(stream.read()))


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_columns_are_typed_by_the_schema_and_not_by_what_stands_in_them(encoding: str) -> None:
    written = "PortNumber,AccNumber,LocNumber,PostalCode,City,BuildingTIV\n1,007,1,01234,Zürich,5\n"

    row = as_table(make_file(written.encode(encoding))).to_pylist()[0]

    assert (row["AccNumber"], row["PostalCode"], row["City"]) == ("007", "01234", "Zürich")
    assert row["BuildingTIV"] == 5.0


@pytest.mark.parametrize(
    ("content", "content_type"),
    [(b"PAR1 it is not", PARQUET), (b"PortNumber,BuildingTIV\n1,a lot\n", "text/csv")],
)
def test_what_is_no_oed_file_is_said_to_be_none(content: bytes, content_type: str) -> None:
    file = make_file(content, filename="mine", content_type=content_type)

    with pytest.raises(NotConvertible, match="'mine' cannot be read as OED, so it cannot be had as") as caught:
        converted(file, to="csv" if file.content_type == PARQUET else "parquet", reader="location")

    assert "/" not in str(caught.value).replace("a/", "")
    assert len(str(caught.value)) < 500


def test_what_does_not_fit_into_the_memory_that_a_conversion_may_take_is_too_large(settings: Settings) -> None:
    settings.QANAT = settings.QANAT.model_copy(update={"conversion_memory_bytes": 700 * 2**20})
    row = b"1,A,1," + b"x" * 1000 + b"\n"
    file = make_file(b"PortNumber,AccNumber,LocNumber,LocName\n" + row * 200_000)

    with pytest.raises(NotConvertible, match="is too large to be converted within 700 MiB"):
        converted(file, to="csv" if file.content_type == PARQUET else "parquet", reader="location")


def test_no_more_are_converted_at_a_time_than_the_server_has_room_for() -> None:
    file = make_file()
    for _ in range(conversion.AT_A_TIME):
        conversion._turns.acquire()

    try:
        with pytest.raises(ConversionsBusy, match="try again in a moment"):
            converted(file, to="csv" if file.content_type == PARQUET else "parquet", reader="location")
    finally:
        for _ in range(conversion.AT_A_TIME):
            conversion._turns.release()


def test_nothing_is_left_behind(settings: Settings) -> None:
    before = set(Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir())

    converted(make_file(), to="parquet", reader="location").close()

    assert set(Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir()) == before
