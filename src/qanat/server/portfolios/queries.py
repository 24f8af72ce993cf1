"""Reads of portfolios: how many locations there are, without reading the exposure itself."""

import bz2
import csv
import gzip
import io
import zipfile
import zlib
from typing import Any, BinaryIO, Protocol

from qanat.contract import formats
from qanat.domain import unpacking
from qanat.server.files.models import StoredFile
from qanat.server.files.storage import storage
from qanat.storage.port import ObjectMissing


class Unreadable(Exception):
    """The file is no table that we can count; the message says why."""


class Readable(Protocol):
    """What unpacks: a file, or a stream of gzip, zip or bzip2."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes."""
        ...


def count_rows(file: StoredFile) -> int:
    """Return the number of records of an OED file: csv, parquet, or either packed by gzip, zip or bzip2.

    The count is kept with the file, for its content never changes.

    Raises:
        Unreadable: it is none of these, or damaged.
    """
    if file.rows is None:
        try:
            with storage().open(file.key) as stream:
                file.rows = _count(stream, most=unpacking.most_bytes(file.size))
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, csv.Error, UnicodeDecodeError, ValueError) as error:
            message = f"'{file.filename}' cannot be read: {error}"
            raise Unreadable(message) from error
        except ObjectMissing as error:
            raise Unreadable(str(error)) from error
        StoredFile.objects.filter(pk=file.pk).update(rows=file.rows)
    return file.rows


def _count(stream: BinaryIO, *, most: int) -> int:
    head = stream.read(4)
    stream.seek(0)
    if head.startswith(formats.GZIP):
        return _count_csv(gzip.GzipFile(fileobj=stream), most=most)
    if head.startswith(formats.BZIP2):
        return _count_csv(bz2.BZ2File(stream), most=most)
    if head.startswith(formats.ZIP):
        with zipfile.ZipFile(stream) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) != 1:
                message = f"a zipped OED file holds exactly one file, this one holds {len(members)}"
                raise Unreadable(message)
            with archive.open(members[0]) as member:
                return _count_csv(member, most=most)
    if head == formats.PARQUET:
        from pyarrow import parquet  # noqa: PLC0415 - heavy, and needed for parquet only

        return int(parquet.ParquetFile(stream).metadata.num_rows)
    return _count_csv(stream, most=None)


def _count_csv(stream: Readable, *, most: int | None) -> int:
    text = io.TextIOWrapper(
        io.BufferedReader(_Limited(stream, most=most)), encoding="utf-8-sig", errors="replace", newline=""
    )
    records = csv.reader(text)
    next(records, None)
    return sum(1 for record in records if record)


class _Limited(io.RawIOBase):
    """A stream that refuses to unpack without end."""

    def __init__(self, stream: Readable, *, most: int | None) -> None:
        self._stream = stream
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a buffer; Python 3.11 has no name for it
        view = memoryview(buffer)
        data = self._stream.read(len(view))
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                message = "it unpacks to more than a table of its size can be; if it is one, upload it unpacked"
                raise ValueError(message)
        view[: len(data)] = data
        return len(data)
