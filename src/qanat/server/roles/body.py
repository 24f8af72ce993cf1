"""The body of a request while it is taken: in memory where it is small, else in a file without a name.

Of a form that begins with its file, the form's own heading stays in memory, so that the file on disk begins with the
first byte of what was sent: storage can keep it as it lies there (``api/common/uploads.py``).
"""

import io
import os
import tempfile
from pathlib import Path
from typing import IO, Any, Final, Self

from qanat.server.api.common.uploads import BODY_FILE

SMALL_BODY: Final = 2**18
"""A body of this size is kept in memory, and taken before anybody has asked whose it is."""
LONGEST_HEADING: Final = 2**13
QUOTES: Final = ' "'


class Body:
    """A body; written from one end to the other, then read as a whole."""

    def __init__(self, folder: Path, content_type: str) -> None:
        """Keep a large body in ``folder``, where nobody else can see it; it is gone when the process is."""
        self._folder = folder
        self._content_type = content_type
        self._start = bytearray()
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()

    def in_memory(self, more: int) -> bool:
        """Return whether so many bytes more go to memory."""
        return self._file is None and len(self._start) + more <= SMALL_BODY

    def write(self, block: bytes) -> None:
        """Take the next block."""
        if self.in_memory(len(block)):
            self._start += block
            return
        if self._file is None:
            self._file = _nameless(self._folder)
            if not self._start:
                self._start, block = bytearray(block[:LONGEST_HEADING]), block[LONGEST_HEADING:]
            end = heading(bytes(self._start[:LONGEST_HEADING]), self._content_type)
            _write_all(self._file, bytes(self._start[end:]))
            self._start = self._start[:end]
        _write_all(self._file, block)

    def as_input(self) -> dict[str, Any]:
        """Return what of the WSGI environment is the body, from its beginning."""
        if self._file is None:
            return {"wsgi.input": io.BytesIO(self._start)}
        self._file.seek(0)
        return {
            "wsgi.input": io.BufferedReader(_Joined(bytes(self._start), self._file), 2**16),
            BODY_FILE: self._file,
        }


def heading(start: bytes, content_type: str) -> int:
    """Return how many bytes of a form stand before the content of its first part, where that is a file; else 0."""
    kind, _, boundary = content_type.partition("boundary=")
    first = f"--{boundary.strip(QUOTES)}\r\n".encode("latin-1")
    if not kind.startswith("multipart/form-data") or not start.startswith(first):
        return 0
    end = start.find(b"\r\n\r\n", 0, LONGEST_HEADING)
    return end + 4 if b"filename" in start[: max(end, 0)] else 0


class _Joined(io.RawIOBase):
    """Bytes, and then a file from where it stands."""

    def __init__(self, start: bytes, file: IO[bytes]) -> None:
        super().__init__()
        self._start = memoryview(start)
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a buffer; Python 3.11 has no name for it
        view = memoryview(buffer).cast("B")
        piece = self._start[: len(view)] if self._start else self._file.read(len(view))
        self._start = self._start[len(view) :]
        view[: len(piece)] = piece
        return len(piece)


def _nameless(folder: Path) -> IO[bytes]:
    """Open a file that has no name yet, but can be given one; where the system knows none, one that has none ever."""
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
    except (AttributeError, OSError):
        return tempfile.TemporaryFile(dir=folder, buffering=0)
    return os.fdopen(descriptor, "w+b", buffering=0)


def _write_all(file: IO[bytes], block: bytes) -> None:
    left = memoryview(block)
    while left:
        left = left[file.write(left) :]
