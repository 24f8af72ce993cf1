"""OED files are looked at before anybody reads them: packed or not, and whether there is anything in them."""

import bz2
import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from qanat.contract import labels
from qanat.worker.kernel.oed_files import NotPlain, OedFile, look_at, require_bounded

TABLE = b"PortNumber,AccNumber\n1,A1\n1,A2\n"


def zipped(*contents: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for number, content in enumerate(contents):
                archive.writestr(f"{number}.csv", content)

    return write


def holding(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def table_of(rows: int) -> Callable[[Path], None]:
    return lambda path: parquet.write_table(pa.table({"PortNumber": [1] * rows}), path)


def look(tmp_path: Path, write: Callable[[Path], object], name: str = "location.csv") -> OedFile:
    write(tmp_path / name)
    (tmp_path / "work").mkdir()
    return look_at(labels.LOCATION, tmp_path / name, work=tmp_path / "work")


@pytest.mark.parametrize(
    "write",
    [
        holding(TABLE),
        holding(b"\xef\xbb\xbf" + TABLE),
        holding(TABLE.replace(b"\n", b"\r\n")),
        holding(TABLE + b"\n\n"),
        holding(b'PortNumber,AccNumber\n1,"A,1"\n1,"A\n2"\n'),
        holding(gzip.compress(TABLE)),
        holding(bz2.compress(TABLE)),
        zipped(TABLE),
    ],
    ids=["plain", "with a mark", "of Windows", "blank lines", "quoted", "gzip", "bzip2", "zip"],
)
def test_a_table_is_unpacked_and_its_rows_are_counted(tmp_path: Path, write: Callable[[Path], object]) -> None:
    looked = look(tmp_path, write)

    assert (looked.rows, looked.findings) == (2, ())
    assert looked.path.read_bytes().lstrip(b"\xef\xbb\xbf").startswith(b"PortNumber,AccNumber")


def test_a_parquet_file_is_known_whether_packed_or_not(tmp_path: Path) -> None:
    table_of(3)(tmp_path / "plain.parquet")

    looked = look(tmp_path, zipped((tmp_path / "plain.parquet").read_bytes()))

    assert (looked.rows, looked.findings, looked.parquet) == (3, (), True)


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (holding(b""), "it is empty"),
        (holding(gzip.compress(b"")), "what is packed in it is empty"),
        (holding(b"\n\nPortNumber\n"), "a header and no rows"),
        (holding(b"PortNumber,AccNumber\n"), "a header and no rows"),
        (holding(b" , \n1,2\n"), "first line is empty"),
        (holding(TABLE.decode().encode("utf-16")), "encoded in UTF-16"),
        (holding(TABLE.decode().encode("utf-16-le")), "or encoded in UTF-16"),
        (holding(TABLE.decode().encode("utf-32")), "encoded in UTF-32"),
        (holding(TABLE + b"1,Caf\xe9\n"), "line 4 is not encoded in UTF-8 (byte 6 is 0xe9)"),
        (holding(gzip.compress(TABLE)[:-12]), "cannot be unpacked"),
        (holding(b"PK\x03\x04 and no more"), "cannot be unpacked"),
        (zipped(), "it holds 0 files"),
        (zipped(TABLE, TABLE), "it holds 2 files"),
        (zipped(bytes(80_000_000)), "unpacks to more than 64 MiB"),
        (holding(gzip.compress(bytes(80_000_000))), "unpacks to more than 64 MiB"),
    ],
    ids=[
        "empty",
        "empty when unpacked",
        "a header after blank lines",
        "a header only",
        "a header without names",
        "UTF-16",
        "UTF-16 without a mark",
        "UTF-32",
        "Latin-1",
        "cut off",
        "no zip",
        "a zip of nothing",
        "a zip of two",
        "a bomb by zip",
        "a bomb by gzip",
    ],
)
def test_what_is_no_table_is_told_with_what_to_do(tmp_path: Path, write: Callable[[Path], object], says: str) -> None:
    looked = look(tmp_path, write)

    [finding] = looked.findings
    assert says in finding.reason
    assert ": " in finding.reason
    assert (finding.file, finding.check, finding.row) == ("location_file", "readable", None)


@pytest.mark.parametrize(
    ("write", "says"),
    [(table_of(0), "no rows"), (holding(b"PAR1 and nothing of the kind"), "cannot be read as such")],
)
def test_a_parquet_file_that_is_none_or_has_no_rows(tmp_path: Path, write: Callable[[Path], object], says: str) -> None:
    [finding] = look(tmp_path, write, "location.parquet").findings

    assert says in finding.reason


def test_a_row_that_is_longer_than_the_header_is_told_by_its_number(tmp_path: Path) -> None:
    looked = look(tmp_path, holding(TABLE + b"1,A,3\n1,A4\n"))

    assert [(finding.row, "3 cells, but the header 2" in finding.reason) for finding in looked.findings] == [(4, True)]


@pytest.mark.parametrize(
    "write",
    [zipped(bytes(300_000_000)), holding(b"PK\x03\x04 and no more"), holding(b"")],
    ids=["a bomb", "no zip", "nothing"],
)
def test_what_the_kernel_is_to_read_packed_is_refused_alike(tmp_path: Path, write: Callable[[Path], object]) -> None:
    write(tmp_path / "location.csv.zip")

    with pytest.raises(NotPlain):
        require_bounded(tmp_path / "location.csv.zip")


def test_a_bomb_leaves_no_more_on_the_disk_than_it_may(tmp_path: Path) -> None:
    look(tmp_path, zipped(bytes(300_000_000)))

    left = sum(path.stat().st_size for path in (tmp_path / "work").iterdir())
    assert left <= 64 * 2**20
