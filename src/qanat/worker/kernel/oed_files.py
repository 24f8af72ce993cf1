"""OED files as users send them, made plain: unpacked, within bounds, and known to be a table with rows.

Neither the kernel nor ods-tools looks: they take a header without rows and tables in UTF-16 for good, and unpack
whatever an archive holds.
"""

import bz2
import codecs
import csv
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

from qanat.contract import formats
from qanat.domain import unpacking
from qanat.worker.kernel.findings import Finding

PACKED: Final = {formats.GZIP: "gzip", formats.ZIP: "zip", formats.EMPTY_ZIP: "zip", formats.BZIP2: "bzip2"}
OTHER_ENCODINGS: Final = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
"""The longer marks first: one begins with another."""
SAVE_AS_UTF8: Final = "save it as CSV in UTF-8 and upload it again"
MOST_LONG_ROWS: Final = 100
LONGEST_FIELD: Final = 2**20
COPY_BYTES: Final = 2**20
HEAD_BYTES: Final = 4096


class NotPlain(Exception):
    """The file cannot be read as a table; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class OedFile:
    """An OED file that has been looked at."""

    label: str
    path: Path
    """Unpacked."""
    rows: int = 0
    findings: tuple[Finding, ...] = field(default=())
    """What keeps it from being read; none: it is a table with rows."""

    @property
    def parquet(self) -> bool:
        """Whether it is parquet, whose columns are typed."""
        return self.path.suffix == ".parquet"


def look_at(label: str, path: Path, *, work: Path) -> OedFile:
    """Unpack a file into ``work`` and see whether it is a table with rows."""
    long_rows: list[Finding] = []
    try:
        plain = unpack(path, work / label)
        if plain.suffix == ".parquet":
            rows = _parquet_rows(plain)
        else:
            _require_utf8(plain)
            rows, long_rows = _csv_rows(plain, label)
        if not rows and not long_rows:
            message = "it has a header and no rows: upload one with at least one row."
            raise NotPlain(message)  # noqa: TRY301 - one sentence a file
    except NotPlain as refused:
        return OedFile(label=label, path=path, findings=(Finding(file=label, check="readable", reason=str(refused)),))
    return OedFile(label=label, path=plain, rows=rows, findings=tuple(long_rows))


def unpack(path: Path, target: Path) -> Path:
    """Return a packed file's content, beside ``target``; one that is not packed as it is.

    Raises:
        NotPlain: it is empty, damaged, unpacks to too much, or holds anything but one file.
    """
    packing = _packing(path)
    if packing is None:
        return path
    blocks = _unpacked(path, packing)
    first = next(blocks, b"")
    if not first:
        message = "what is packed in it is empty: upload one with a header and at least one row."
        raise NotPlain(message)
    plain = target.with_suffix(".parquet" if first.startswith(formats.PARQUET) else ".csv")
    with plain.open("wb") as file:
        file.write(first)
        for block in blocks:
            file.write(block)
    return plain


def require_bounded(path: Path) -> None:
    """Refuse a packed file that ``unpack`` would refuse, without keeping what is in it.

    Raises:
        NotPlain: it is empty, damaged, unpacks to too much, or holds anything but one file.
    """
    packing = _packing(path)
    if packing is not None:
        for _ in _unpacked(path, packing):
            pass


def _packing(path: Path) -> str | None:
    with path.open("rb") as stream:
        head = stream.read(8)
    if not head:
        message = "it is empty: upload one with a header and at least one row."
        raise NotPlain(message)
    return next((name for magic, name in PACKED.items() if head.startswith(magic)), None)


def _unpacked(path: Path, packing: str) -> Iterator[bytes]:
    """Yield the content of a packed file, as far as it may reach."""
    most, size = unpacking.most_bytes(path.stat().st_size), 0
    try:
        with _open(path, packing) as stream:
            while block := stream.read(COPY_BYTES):
                size += len(block)
                if size > most:
                    message = (
                        f"it unpacks to more than {most // 2**20} MiB, which is more than a table of its size can be: "
                        "if it is one, upload it unpacked."
                    )
                    raise NotPlain(message)
                yield block
    except (OSError, EOFError, RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as e:
        if isinstance(e, OSError) and e.errno is not None:
            raise  # The disk's fault.
        message = f"it cannot be unpacked ({e}): pack it again with {packing}, without a password."
        raise NotPlain(message) from e


def _open(path: Path, packing: str) -> BinaryIO:
    if packing == "gzip":
        return cast("BinaryIO", gzip.open(path))
    if packing == "bzip2":
        return cast("BinaryIO", bz2.open(path))
    archive = zipfile.ZipFile(path)
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) != 1:
        message = f"it holds {len(members)} files: a zipped OED file holds exactly one."
        raise NotPlain(message)
    return cast("BinaryIO", archive.open(members[0]))


def _parquet_rows(path: Path) -> int:
    from pyarrow import ArrowException, parquet  # noqa: PLC0415 - heavy, and needed for parquet only

    try:
        return int(parquet.ParquetFile(path).metadata.num_rows)
    except (ArrowException, OSError) as error:
        message = f"it is called parquet and cannot be read as such ({error}): upload it with the type that it has."
        raise NotPlain(message) from error


def _require_utf8(path: Path) -> None:
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
        for mark, encoding in OTHER_ENCODINGS.items():
            if head.startswith(mark):
                message = f"it is encoded in {encoding}: {SAVE_AS_UTF8}."
                raise NotPlain(message)
        if b"\0" in head:
            message = f"it is no text, or encoded in UTF-16: {SAVE_AS_UTF8}."
            raise NotPlain(message)
        stream.seek(0)
        for number, line in enumerate(stream, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                message = (
                    f"line {number} is not encoded in UTF-8 (byte {error.start + 1} is 0x{line[error.start]:02x}): "
                    f"{SAVE_AS_UTF8}."
                )
                raise NotPlain(message) from error


def _csv_rows(path: Path, label: str) -> tuple[int, list[Finding]]:
    """Return the number of records, and those that have more cells than the header, which shift all others."""
    csv.field_size_limit(LONGEST_FIELD)
    count = 0
    long_rows: list[Finding] = []
    with path.open(newline="", encoding="utf-8-sig") as stream:
        records = _records(stream)
        header = next(records, None)
        if header is None or not any(cell.strip() for cell in header):
            message = "its first line is empty: upload one that begins with a header."
            raise NotPlain(message)
        for count, record in enumerate(records, start=1):
            if len(record) > len(header) and len(long_rows) < MOST_LONG_ROWS:
                reason = (
                    f"it has {len(record)} cells, but the header {len(header)}: put text with commas between quotation "
                    "marks, or add the columns."
                )
                long_rows.append(Finding(file=label, row=count + 1, check="readable", reason=reason))
    return count, long_rows


def _records(stream: IO[str]) -> Iterator[list[str]]:
    """Yield the records of a CSV file; blank lines are none.

    Raises:
        NotPlain: it is no CSV.
    """
    records = csv.reader(stream)
    try:
        yield from (record for record in records if record)
    except csv.Error as error:
        message = f"line {records.line_num} is no CSV ({error}): correct it and upload the file again."
        raise NotPlain(message) from error
