"""How the storages cut and join bytes: never more than a piece or a part in memory."""

import io
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, cast

from qanat.storage.port import PIECE_BYTES, StorageUnavailable

TRIES = 4
"""How often a piece is asked for, each time on a new connection."""


class Reading(Iterator[bytes]):
    """An iterator that lets go of what it reads from, also where nobody has asked it for anything."""

    def __init__(self, source: Iterator[bytes], release: Callable[[], None]) -> None:
        """Read from ``source``; ``release`` is called at its end, at an error, or by ``close``."""
        self._source = source
        self._release = release

    def __next__(self) -> bytes:
        """Return the next piece."""
        try:
            return next(self._source)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go."""
        self._release()


def pieces(stream: BinaryIO, *, start: int = 0, length: int | None = None) -> Reading:
    """Return what is in a stream from ``start``; it is closed with the iterator."""
    return Reading(_pieces(stream, start, length), stream.close)


def _pieces(stream: BinaryIO, start: int, left: int | None) -> Iterator[bytes]:
    stream.seek(start)
    while piece := stream.read(PIECE_BYTES if left is None else min(PIECE_BYTES, left)):
        yield piece
        left = None if left is None else left - len(piece)


def part_of(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Return the first bytes of a file of this host, which stays open."""
    for start in range(0, size, PIECE_BYTES):
        yield os.pread(file.fileno(), min(PIECE_BYTES, size - start), start)


def parts(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Join chunks to parts of exactly ``size`` bytes, but for the last; there is always one, if only an empty one."""
    buffer = bytearray()
    sent = False
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= size:
            yield bytes(memoryview(buffer)[:size])
            del buffer[:size]
            sent = True
    if buffer or not sent:
        yield bytes(buffer)


Fetch = Callable[[int], Reading]
"""Starts to read an object at an offset, up to an end that it knows; raises ObjectMissing and StorageUnavailable."""


class Resumed(Iterator[bytes]):
    """An object's bytes from an offset on; a connection that breaks is made anew where it broke.

    The first connection is made at once, so that a missing object is known before anything is promised to anybody.
    """

    def __init__(self, fetch: Fetch, *, start: int) -> None:
        """Begin to read."""
        self._fetch = fetch
        self._offset = start
        self._source = fetch(start)

    def __next__(self) -> bytes:
        """Return the next piece."""
        for _ in range(TRIES - 1):
            try:
                return self._advance()
            except StorageUnavailable:
                self._source = self._fetch(self._offset)
        return self._advance()

    def close(self) -> None:
        """Drop the connection."""
        self._source.close()

    def _advance(self) -> bytes:
        piece = next(self._source)
        self._offset += len(piece)
        return piece


class Remote(io.RawIOBase):
    """An object elsewhere as a file: a seek costs nothing until the next read, which then asks from there."""

    def __init__(self, fetch: Fetch, *, size: int) -> None:
        """Ask for the object's beginning at once: it is the common case, and says whether the object is there."""
        self._fetch = fetch
        self._size = size
        self._offset = 0
        self._pieces: Resumed | None = Resumed(fetch, start=0)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Return the offset."""
        return self._offset

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset; reading on from where one is keeps the connection."""
        target = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: self._size}[whence]
        if target < 0:
            message = f"negative offset: {target}"
            raise ValueError(message)
        if target != self._offset:
            self._offset = target
            self._stop()
        return target

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a buffer; Python 3.11 has no name for it
        """Read some bytes."""
        if self._offset >= self._size:
            return 0
        if not self._rest:
            if self._pieces is None:
                self._pieces = Resumed(self._fetch, start=self._offset)
            self._rest = memoryview(next(self._pieces, b""))
        view = memoryview(buffer).cast("B")
        taken = min(len(view), len(self._rest))
        view[:taken] = self._rest[:taken]
        self._rest = self._rest[taken:]
        self._offset += taken
        return taken

    def close(self) -> None:
        """Drop the connection."""
        self._stop()
        super().close()

    def _stop(self) -> None:
        if self._pieces is not None:
            self._pieces.close()
        self._pieces = None
        self._rest = memoryview(b"")


def as_file(fetch: Fetch, *, size: int) -> BinaryIO:
    """Return an object elsewhere as a buffered file."""
    return cast("BinaryIO", io.BufferedReader(Remote(fetch, size=size), PIECE_BYTES))
