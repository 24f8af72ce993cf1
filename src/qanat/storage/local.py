"""Storage in a directory of this host, or of a file system that all hosts share."""

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from qanat.storage.port import ObjectMissing, StorageFull, StorageUnavailable, checked

NO_OBJECT = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class _SenderFailed(Exception):
    """Whoever sends the chunks has failed: that says nothing of the storage."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class LocalStorage:
    """Objects are files beneath a root; see ``port.Storage``."""

    def __init__(self, root: Path) -> None:
        """Keep objects under ``root``, which is made where it is not there."""
        self.root = root

    def write(self, key: str, chunks: Iterable[bytes]) -> int:
        """Write to a temporary file beside the target and rename it: nobody sees half an object."""
        target = self._path(key)
        temporary: Path | None = None
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as stream:
                temporary = Path(stream.name)
                size = sum(stream.write(chunk) for chunk in _as_sent(chunks))
                stream.flush()
                os.fsync(stream.fileno())  # A row that is committed must not outlive the bytes that it names.
            temporary.replace(target)
        except _SenderFailed as failed:
            raise failed.error from None
        except OSError as error:
            if error.errno in NO_ROOM:
                message = f"No room is left in {self.root}: free some, then try again; nothing was stored."
                raise StorageFull(message) from error
            message = f"{self.root} could not be written: {error.strerror}."
            raise StorageUnavailable(message) from error
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)
        return size

    def open(self, key: str) -> BinaryIO:
        """Open the file."""
        try:
            return self._path(key).open("rb")
        except NO_OBJECT:
            raise ObjectMissing(key) from None

    def size(self, key: str) -> int:
        """Return the file's size."""
        path = self._path(key)
        if not path.is_file():
            raise ObjectMissing(key)
        return path.stat().st_size

    def exists(self, key: str) -> bool:
        """Say whether the file is there."""
        return self._path(key).is_file()

    def keys(self, prefix: str) -> Iterator[str]:
        """Walk the folder; what is still being written is no object yet."""
        for folder, _, names in os.walk(self._path(prefix)):
            for name in names:
                if not name.startswith("."):
                    yield str(Path(folder, name).relative_to(self.root))

    def delete(self, key: str) -> None:
        """Remove the file and the folders that it leaves empty."""
        path = self._path(key)
        if not path.is_file():
            return
        path.unlink(missing_ok=True)
        with suppress(OSError):
            for parent in path.parents:
                if parent == self.root:
                    break
                parent.rmdir()

    def local_path(self, key: str) -> Path | None:
        """Return the file's path."""
        return self._path(key)

    def _path(self, key: str) -> Path:
        return self.root / os.fspath(checked(key))


def _as_sent(chunks: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from chunks
    except OSError as error:
        raise _SenderFailed(error) from error
