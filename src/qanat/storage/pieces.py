"""How the storages cut and join bytes: never more than a piece or a part in memory."""

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, cast

from qanat.storage.port import PIECE_BYTES, StorageUnavailable

TRIES = 4
"""How often in a row a stream is taken up again where it broke off, without a byte of progress."""

Fetch = Callable[[int], Iterator[bytes]]
"""Starts to read an object at an offset, up to an end that it knows; raises ObjectMissing and StorageUnavailable."""


def pieces(stream: BinaryIO, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
    """Yield what is in a stream from ``start``, and close it."""
    with stream:
        stream.seek(start)
        left = length
        while piece := stream.read(PIECE_BYTES if left is None else min(PIECE_BYTES, left)):
            yield piece
            left = None if left is None else left - len(piece)


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


def resumed(fetch: Fetch, *, start: int) -> Iterator[bytes]:
    """Yield an object's bytes from ``start``; a connection that breaks is made anew where it broke.

    The first connection is made at once, so that a missing object is known before anything is promised to anybody.
    """
    return _resumed(fetch, fetch(start), start)


def _resumed(fetch: Fetch, source: Iterator[bytes], offset: int) -> Iterator[bytes]:
    failures = 0
    while True:
        try:
            for piece in source:
                failures = 0
                offset += len(piece)
                yield piece
        except StorageUnavailable:
            failures += 1
            if failures == TRIES:
                raise
            source = fetch(offset)
        else:
            return


class Remote(io.RawIOBase):
    """An object elsewhere as a file: a seek costs nothing until the next read, which then asks from there."""

    def __init__(self, fetch: Fetch, *, size: int) -> None:
        """Ask for the object's beginning at once: it is the common case, and says whether the object is there."""
        self._fetch = fetch
        self._size = size
        self._offset = 0
        self._pieces: Iterator[bytes] | None = resumed(fetch, start=0)
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
                self._pieces = resumed(self._fetch, start=self._offset)
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
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()
        self._pieces = None
        self._rest = memoryview(b"")


def as_file(fetch: Fetch, *, size: int) -> BinaryIO:
    """Return an object elsewhere as a buffered file."""
    return cast("BinaryIO", io.BufferedReader(Remote(fetch, size=size), PIECE_BYTES))
