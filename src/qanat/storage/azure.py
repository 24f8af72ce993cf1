"""Storage in a container of Azure Blob Storage."""

import base64
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import (
    BlobBlock,
    BlobClient,
    ContainerClient,
    LinearRetry,
)

from qanat.storage.pieces import Reading, Resumed, as_file, part_of, parts
from qanat.storage.port import ObjectMissing, StorageFull, StorageUnavailable, checked

PART_BYTES: Final = 16 * 2**20
"""Fifty thousand blocks at most: 800 GB."""
GET_BYTES: Final = 2**20
"""The library asks for so much at a time and holds it."""
CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 60
TRIES: Final = 3
LOOK_AT_COPY_SECONDS: Final = 0.2
INSUFFICIENT_STORAGE: Final = 507


class AnswerCutOff(AzureError):
    """The connection broke within the head of an answer, which the library takes for all of it."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("The answer ends before it says how long it is.")


@dataclass(frozen=True, kw_only=True)
class AzureOptions:
    """Which container, and how to get at it."""

    account_name: str
    container: str
    location: str = ""
    """Beginning of all blob names, without slashes at its ends."""
    account_key: str | None = field(default=None, repr=False)
    sas_token: str | None = field(default=None, repr=False)
    """Without either, the identity of the machine or of the environment."""
    endpoint_url: str | None = None
    """Where it is not ``https://ACCOUNT.blob.core.windows.net``."""


class AzureStorage:
    """Objects are blobs of a container, their names below a location; see ``port.Storage``."""

    def __init__(self, options: AzureOptions) -> None:
        """Get ready; nothing is asked of the server yet."""
        self._options = options
        self._container = ContainerClient(
            options.endpoint_url or f"https://{options.account_name}.blob.core.windows.net",
            options.container,
            credential=_credential(options),
            max_single_get_size=GET_BYTES,
            max_chunk_get_size=GET_BYTES,
            max_single_put_size=PART_BYTES,
            # The library's own policy tries for a minute, and a thread waits for it.
            retry_policy=LinearRetry(backoff=1, retry_total=TRIES, random_jitter_range=1),
            connection_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            logging_enable=False,
        )

    def write(self, key: str, chunks: Iterable[bytes]) -> int:
        """Send one request, or one a block and one that makes them a blob: nobody sees half of it."""
        blob = self._blob(key)
        sent = parts(chunks, PART_BYTES)
        part = next(sent)
        if len(part) < PART_BYTES:
            with self._asked(key):
                blob.upload_blob(part, overwrite=True)
            return len(part)
        size = 0
        writer = uuid.uuid4().hex  # Of two who write the same key, each commits blocks of its own.
        done: list[BlobBlock] = []
        while part:
            # Blocks that are never committed are no blob, and the server forgets them after a week.
            block = base64.b64encode(f"{writer}{len(done):08d}".encode()).decode()
            with self._asked(key):
                blob.stage_block(block, part)
            done.append(BlobBlock(block))
            size += len(part)
            part = next(sent, b"")
        with self._asked(key):
            blob.commit_block_list(done)
        return size

    def take(self, key: str, file: BinaryIO, *, size: int) -> int:
        """Write what the file holds."""
        return self.write(key, part_of(file, size))

    def open(self, key: str) -> BinaryIO:
        """Read on demand, from wherever the reader is."""
        return as_file(lambda start: self._fetch(key, start), size=self.size(key))

    def read(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Read a range."""
        end = None if length is None else start + length
        return Resumed(lambda offset: self._fetch(key, offset, end), start=start)

    def copy(self, source: str, target: str) -> int:
        """Have the server copy."""
        size = self.size(source)
        blob = self._blob(target)
        with self._asked(source):
            state: Any = blob.start_copy_from_url(self._blob(source).url)["copy_status"]
            while state == "pending":
                time.sleep(LOOK_AT_COPY_SECONDS)
                state = blob.get_blob_properties().copy.status
        if state != "success":
            message = f"The container '{self._options.container}' did not copy the object: try again in a moment."
            raise StorageUnavailable(message)
        return size

    def discard_unfinished(self, *, before: datetime) -> None:
        """Do nothing: Azure forgets uncommitted blocks after a week by itself."""

    def size(self, key: str) -> int:
        """Ask for the blob's properties."""
        blob = self._blob(key)
        with self._asked(key):
            size = blob.get_blob_properties().size
            if size is None:  # whatever the library's types say
                raise AnswerCutOff
            return int(size)

    def exists(self, key: str) -> bool:
        """Ask for the blob's properties."""
        try:
            self.size(key)
        except ObjectMissing:
            return False
        return True

    def keys(self, prefix: str) -> Iterator[str]:
        """List, some thousands at a time."""
        beginning = f"{self._name(checked(prefix))}/"
        skipped = len(self._name(""))
        with self._asked(prefix):
            for name in self._container.list_blob_names(name_starts_with=beginning):
                yield name[skipped:]

    def delete(self, key: str) -> None:
        """Delete the blob."""
        blob = self._blob(key)
        with suppress(ObjectMissing), self._asked(key):
            blob.delete_blob()

    def local_path(self, key: str) -> Path | None:
        """Return None: it lies elsewhere."""
        checked(key)
        return None

    def _fetch(self, key: str, start: int, end: int | None = None) -> Reading:
        blob = self._blob(key)
        if end is not None and end <= start:
            self.size(key)
            return Reading(iter(()), _nothing)
        length = None if end is None else end - start
        with self._asked(key):
            try:
                downloader = blob.download_blob(offset=start or (None if end is None else 0), length=length)
            except ValueError as error:
                raise AnswerCutOff from error
        return Reading(self._received(key, downloader), _nothing)

    def _received(self, key: str, downloader: Any) -> Iterator[bytes]:  # noqa: ANN401 - the library's
        left = downloader.size
        with self._asked(key):
            for piece in downloader.chunks():
                if len(piece) != min(GET_BYTES, left):
                    raise AnswerCutOff
                left -= len(piece)
                yield piece

    def _blob(self, key: str) -> BlobClient:
        return self._container.get_blob_client(self._name(checked(key)))

    def _name(self, key: str) -> str:
        return f"{self._options.location}/{key}" if self._options.location else key

    @contextmanager
    def _asked(self, key: str) -> Iterator[None]:
        container = self._options.container
        try:
            yield
        except ResourceNotFoundError as error:
            if _code(error) == "ContainerNotFound":
                message = f"There is no container '{container}': make it, or correct the server's settings."
                raise StorageUnavailable(message) from error
            raise ObjectMissing(key) from None
        except HttpResponseError as error:
            if error.status_code == INSUFFICIENT_STORAGE:
                message = f"No room is left in the container '{container}': free some, then try again."
                raise StorageFull(message) from error
            message = f"The container '{container}' refuses ({_code(error)}): see the server's log."
            raise StorageUnavailable(message) from error
        except AzureError as error:
            message = f"The container '{container}' does not answer ({type(error).__name__}): try again in a moment."
            raise StorageUnavailable(message) from error


def _code(error: HttpResponseError) -> str:
    """Return what the service calls the error; the library adds it to those of its own calls."""
    return str(getattr(error, "error_code", None) or error.status_code)


def _credential(options: AzureOptions) -> Any:  # noqa: ANN401 - one of the library's kinds
    if options.account_key or options.sas_token:
        return options.account_key or options.sas_token
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - slow to import, and needed without a key only

    return DefaultAzureCredential()


def _nothing() -> None:
    """Let go of nothing."""
