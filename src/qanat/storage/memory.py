"""Storage in memory: the twin of the real ones, for tests."""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

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

    def open(self, key: str) -> BinaryIO:
        """Return the bytes as a stream."""
        return io.BytesIO(self._content(key))

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
