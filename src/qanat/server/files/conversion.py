"""OED files in another format, converted outside this process: see ``oed_conversion``."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from django.conf import settings

from qanat.server.files.models import StoredFile
from qanat.server.files.oed_conversion import TOO_LARGE, UNREADABLE
from qanat.server.files.storage import storage

TYPES: Final = {"csv": "text/csv", "parquet": "application/octet-stream"}
"""The formats, and the type of each."""
OTHER: Final = {"csv": "parquet", "parquet": "csv"}
AT_A_TIME: Final = 2
LONGEST_SECONDS: Final = 600.0
PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "OASIS_OED_SCHEMA_INFO")
_turns = threading.BoundedSemaphore(AT_A_TIME)


class NotConvertible(Exception):
    """The file cannot be read as OED, or is too large; the message says which."""


class ConversionsBusy(Exception):
    """As many conversions are under way as this server does at a time; trying again in a moment helps."""


def converted(file: StoredFile, *, to: str, reader: str) -> BinaryIO:
    """Return the file in another format, as a stream over a temporary file that is gone once it is closed.

    Args:
        file: an OED file in the other one of the two formats.
        to: the format wanted, one of ``TYPES``.
        reader: which kind of OED file it is, one of ``oed_conversion.READERS``.

    Raises:
        NotConvertible: it is no OED file of its type, or too large.
        ConversionsBusy: others are being converted.
        ObjectMissing, StorageUnavailable: it cannot be had from storage.
    """
    if not _turns.acquire(blocking=False):
        message = f"{AT_A_TIME} files are being converted, which is as many as at a time: try again in a moment."
        raise ConversionsBusy(message)
    try:
        with _folder() as folder:
            source = _fetched(file, folder / f"source.{OTHER[to]}")
            target = folder / f"target.{to}"
            _run(file, source=source, target=target, reader=reader)
            return target.open("rb")
    finally:
        _turns.release()


def _run(file: StoredFile, *, source: Path, target: Path, reader: str) -> None:
    command = [sys.executable, "-m", "qanat.server.files.oed_conversion", str(source), str(target), reader]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            [*command, str(settings.QANAT.conversion_memory_bytes)],
            cwd=source.parent,
            env={name: value for name in PASSED_ON if (value := os.environ.get(name))},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        message = f"'{file.filename}' is too large to be converted here: it took longer than {LONGEST_SECONDS:.0f} s."
        raise NotConvertible(message) from None
    if done.returncode == UNREADABLE:
        reason = done.stderr.strip().rpartition("\n")[2].replace(str(source), file.filename)
        message = f"'{file.filename}' cannot be read as OED, so it cannot be had as {target.suffix[1:]}: {reason}"
        raise NotConvertible(message)
    if done.returncode == TOO_LARGE or done.returncode < 0:
        limit = settings.QANAT.conversion_memory_bytes >> 20
        message = f"'{file.filename}' is too large to be converted within {limit} MiB: fetch it as it is."
        raise NotConvertible(message)
    if done.returncode:
        message = f"converting '{file.filename}' failed: {done.stderr[-2000:]}"
        raise RuntimeError(message)


def _fetched(file: StoredFile, target: Path) -> Path:
    """Put the file where the reader finds it, under the suffix of its type."""
    if (path := storage().local_path(file.key)) is not None:
        target.symlink_to(path.resolve())
    else:
        with target.open("wb") as stream:
            for piece in storage().read(file.key):
                stream.write(piece)
    return target


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="conversion-", dir=settings.FILE_UPLOAD_TEMP_DIR))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
