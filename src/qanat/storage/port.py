"""The storage port: immutable objects under keys of our own."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

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

    def open(self, key: str) -> BinaryIO:
        """Return the object as a readable stream.

        Raises:
            ObjectMissing: there is none.
        """

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
