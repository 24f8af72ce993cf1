"""The storage port: immutable objects under keys of our own."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, Protocol

PIECE_BYTES: Final = 2**17
"""How much a reader takes at a time, and so about what a download that stalls holds in memory."""
KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@=-]*(/[A-Za-z0-9_][A-Za-z0-9_.+@=-]*)*")


class StorageError(Exception):
    """Something is wrong with the storage, not with what was asked of it."""


class StorageFull(StorageError):
    """There is no room left; nothing was written."""


class StorageUnavailable(StorageError):
    """The storage does not answer or refuses; trying again later may help."""


class ObjectMissing(Exception):
    """There is no object under the key."""

    def __init__(self, key: str) -> None:
        """Name the key."""
        super().__init__(f"There is no object '{key}' in storage: it was deleted.")
        self.key = key


class Storage(Protocol):
    """Objects are written once, as a whole or not at all, and never change under their key.

    Keys are relative paths of letters, digits and ``_ . + @ = -``; anything else raises ``ValueError``.
    """

    def write(self, key: str, chunks: Iterable[bytes]) -> int:
        """Store the chunks under ``key`` and return their size in bytes.

        Raises:
            StorageFull: no room is left; nothing is stored.
            StorageUnavailable: the storage does not answer; nothing is stored.
        """

    def take(self, key: str, file: BinaryIO, *, size: int) -> int:
        """Store the first ``size`` bytes of a file of this host, and return their number.

        The file may become the object, where that spares writing it once more; so nobody may write to it from now on,
        and what comes after those bytes may be gone from it.

        Raises:
            StorageFull: no room is left; nothing is stored.
            StorageUnavailable: the storage does not answer; nothing is stored.
        """

    def open(self, key: str) -> BinaryIO:
        """Return the object as a stream that can be read and sought in; it gives the object's bytes or an error.

        Raises:
            ObjectMissing: there is none.
            StorageUnavailable: the storage does not answer, now or while the stream is read.
        """

    def read(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the object's bytes from ``start``, ``length`` of them or all, in pieces of about ``PIECE_BYTES``.

        What is asked for lies within the object: ``start + length <= size``.

        Raises:
            ObjectMissing: there is none; raised at once, before the first piece is asked for.
            StorageUnavailable: the storage does not answer, now or on the way.
        """

    def copy(self, source: str, target: str) -> int:
        """Store the object ``source`` under ``target`` too, where it lies, and return its size.

        Raises:
            ObjectMissing: there is none.
            StorageFull: no room is left; nothing is stored.
            StorageUnavailable: the storage does not answer.
        """

    def discard_unfinished(self, *, before: datetime) -> None:
        """Remove what writers that were killed before then have left; it was never visible, but takes room."""

    def size(self, key: str) -> int:
        """Return the object's size in bytes.

        Raises:
            ObjectMissing: there is none.
        """

    def exists(self, key: str) -> bool:
        """Say whether there is an object under the key."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with ``prefix/``, itself a key, in no order."""

    def delete(self, key: str) -> None:
        """Remove the object; one that is not there is no error."""

    def local_path(self, key: str) -> Path | None:
        """Return where the object lies on this host, or None where it lies elsewhere."""


def checked(key: str) -> str:
    """Return ``key`` if it is one of ours.

    Raises:
        ValueError: it is absolute, leads upwards, or has characters that keys do not have.
    """
    if not KEY.fullmatch(key):
        message = f"'{key}' is not a storage key"
        raise ValueError(message)
    return key
