"""Storage in memory: the twin of the real ones, for tests."""

import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from qanat.storage.pieces import part_of
from qanat.storage.port import ObjectMissing, checked


class MemoryStorage:
    """Objects are bytes in a dictionary; see ``port.Storage``."""

    def __init__(self) -> None:
        """Begin empty."""
        self.objects: dict[str, bytes] = {}

    def write(self, key: str, chunks: Iterable[bytes]) -> int:
        """Keep the chunks."""
        content = b"".join(chunks)
        self.objects[checked(key)] = content
        return len(content)

    def take(self, key: str, file: BinaryIO, *, size: int) -> int:
        """Write what the file holds."""
        return self.write(key, part_of(file, size))

    def open(self, key: str) -> BinaryIO:
        """Return the bytes as a stream."""
        return io.BytesIO(self._content(key))

    def read(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Return the bytes in one piece."""
        content = self._content(key)
        return iter([content[start : None if length is None else start + length]])

    def copy(self, source: str, target: str) -> int:
        """Keep the same bytes under another key."""
        return self.write(target, [self._content(source)])

    def discard_unfinished(self, *, before: datetime) -> None:
        """Do nothing: there is nothing unfinished in memory."""

    def size(self, key: str) -> int:
        """Return the number of bytes."""
        return len(self._content(key))

    def exists(self, key: str) -> bool:
        """Say whether there are bytes under the key."""
        return checked(key) in self.objects

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys."""
        yield from [key for key in self.objects if key.startswith(f"{checked(prefix)}/")]

    def delete(self, key: str) -> None:
        """Forget the bytes."""
        self.objects.pop(checked(key), None)

    def local_path(self, key: str) -> Path | None:
        """Return None: nothing in memory has a path."""
        del key
        return None

    def _content(self, key: str) -> bytes:
        try:
            return self.objects[checked(key)]
        except KeyError:
            raise ObjectMissing(key) from None
