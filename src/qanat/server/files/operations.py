"""Writes of files: uploads streamed to storage, results adopted, files deleted."""

import hashlib
import shutil
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path, PurePath
from typing import BinaryIO, Protocol, runtime_checkable

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.utils import timezone

from qanat.server.files.models import StoredFile, Unsettled
from qanat.server.files.storage import storage
from qanat.storage.port import StorageError

EXCEL_CSV = "application/vnd.ms-excel"
TYPE_OF_SUFFIX = {
    ".parquet": "application/octet-stream",
    ".pq": "application/octet-stream",
    ".csv": "text/csv",
    ".gz": "application/gzip",
    ".zip": "application/zip",
    ".bz2": "application/x-bzip2",
}


class Upload(Protocol):
    """What an HTTP upload offers."""

    name: str | None
    content_type: str | None

    def chunks(self) -> Iterable[bytes]:
        """Yield the content."""


@runtime_checkable
class OnDisk(Protocol):
    """An upload that is the beginning of a file without a name, which nobody else needs."""

    def on_disk(self) -> BinaryIO:
        """Return the file."""


class UploadRefused(Exception):
    """The upload may not be stored here; the message says what is allowed."""


def store_upload(
    *, upload: Upload, creator: User | None, groups: Collection[Group], allowed_types: Collection[str]
) -> StoredFile:
    """Stream an upload to storage under a key of our own and return its row.

    The key is 32 hexadecimal digits and the last suffix of the name (``.tar.gz`` as a whole; wire contract,
    section 1.3).

    Raises:
        UploadRefused: the media type is not among ``allowed_types`` (empty: any), contradicts the suffix, or the file
            is larger than the installation accepts.
        StorageError: it could not be stored; nothing is kept.
    """
    filename = PurePath(upload.name or "").name
    content_type = (upload.content_type or "").split(";")[0].strip()
    check_type(filename=filename, content_type=content_type, allowed_types=allowed_types)
    key = _noted_key(filename)
    digest = hashlib.sha256()
    try:
        size = _store(upload, key, digest)
        return _row(
            key=key,
            filename=filename,
            content_type=content_type,
            size=size,
            sha256=digest.hexdigest(),
            creator=creator,
            groups=groups,
        )
    except BaseException:
        with suppress(StorageError):  # What went wrong first is what the user should hear.
            storage().delete(key)
        raise


def _store(upload: Upload, key: str, digest: "hashlib._Hash") -> int:
    """Store an upload, and return its size; what is on this host's disk already is not written again."""
    chunks = _measured(upload.chunks(), digest)
    if not isinstance(upload, OnDisk):
        return storage().write(key, chunks)
    size = sum(map(len, chunks))
    return storage().take(key, upload.on_disk(), size=size)


def check_type(*, filename: str, content_type: str, allowed_types: Collection[str]) -> None:
    """Refuse a media type that is not allowed or contradicts the file's suffix.

    Raises:
        UploadRefused: with the types that would do.
    """
    seen_as = "text/csv" if content_type == EXCEL_CSV else content_type
    if allowed_types and seen_as not in allowed_types:
        message = f"File should be one of [{', '.join(allowed_types)}]"
        raise UploadRefused(message)
    expected = TYPE_OF_SUFFIX.get(PurePath(filename).suffix.lower())
    if expected is not None and seen_as != expected:
        message = f"'{filename}' was sent as '{content_type}', but its suffix stands for '{expected}'."
        raise UploadRefused(message)


def store_content(
    *, content: bytes, filename: str, content_type: str, creator: User | None, groups: Collection[Group]
) -> StoredFile:
    """Store bytes that the server itself made and return their row."""
    key = _noted_key(filename)
    size = storage().write(key, [content])
    return _row(
        key=key,
        filename=filename,
        content_type=content_type,
        size=size,
        sha256=hashlib.sha256(content).hexdigest(),
        creator=creator,
        groups=groups,
    )


def adopt(  # noqa: PLR0913 - a row of the table
    *, key: str, filename: str, content_type: str, size: int, creator: User | None, groups: Collection[Group]
) -> StoredFile:
    """Return a row for an object that is in storage already, such as a run's result."""
    file, created = StoredFile.objects.get_or_create(
        key=key, defaults={"filename": filename, "content_type": content_type, "size": size, "creator": creator}
    )
    if created:
        file.groups.set(groups)
    return file


def duplicate(*, file: StoredFile, creator: User | None) -> StoredFile:
    """Copy a file, object and row."""
    key = _noted_key(file.filename)
    size = storage().copy(file.key, key)
    return _row(
        key=key,
        filename=file.filename,
        content_type=file.content_type,
        size=size,
        sha256=file.sha256,
        creator=creator,
        groups=list(file.groups.all()),
    )


def delete_file(file: StoredFile | None) -> None:
    """Delete a file: its row now, its object once the transaction has committed."""
    if file is None:
        return
    key = file.key
    note(key)
    file.delete()
    transaction.on_commit(partial(_remove, key), robust=True)


def note(*keys: str, now: datetime | None = None) -> None:
    """Have somebody look a day later whether anything needs these objects or folders; see ``settling``."""
    since = now or timezone.now()
    Unsettled.objects.bulk_create((Unsettled(key=key, since=since) for key in keys), ignore_conflicts=True)


def _remove(key: str) -> None:
    """Remove an object that nothing refers to any more."""
    storage().delete(key)
    Unsettled.objects.filter(pk=key).delete()


def clear_uploads(*, before: datetime) -> None:
    """Remove what uploads and conversions that were killed before then have left on this host."""
    for path in Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir():
        with suppress(FileNotFoundError):
            if path.stat().st_mtime >= before.timestamp():
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def _row(  # noqa: PLR0913 - a row of the table
    *,
    key: str,
    filename: str,
    content_type: str,
    size: int,
    sha256: str,
    creator: User | None,
    groups: Collection[Group],
) -> StoredFile:
    with transaction.atomic():
        file = StoredFile.objects.create(
            key=key, filename=filename, content_type=content_type, size=size, sha256=sha256, creator=creator
        )
        if groups:
            file.groups.set(groups)
    return file


def _noted_key(filename: str) -> str:
    """Return a key for an object that is about to be written, and note it."""
    key = _fresh_key(filename)
    note(key)
    return key


def _fresh_key(filename: str) -> str:
    lower = filename.lower()
    suffix = ".tar.gz" if lower.endswith(".tar.gz") else PurePath(lower).suffix
    safe = suffix if suffix.replace(".", "").isalnum() and suffix.isascii() else ""
    return f"{uuid.uuid4().hex}{safe}"


def _measured(chunks: Iterable[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > settings.QANAT.max_upload_bytes:
            message = f"The file is larger than the {settings.QANAT.max_upload_bytes} bytes that this server accepts."
            raise UploadRefused(message)
        digest.update(chunk)
        yield chunk
