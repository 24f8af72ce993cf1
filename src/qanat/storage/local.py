"""Storage in a directory of this host, or of a file system that all hosts share."""

import errno
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from qanat.storage.pieces import part_of, pieces
from qanat.storage.port import ObjectMissing, StorageFull, StorageUnavailable, checked

UNFINISHED: Final = ".unfinished-"

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
        with self._new_file(self._path(key)) as stream:
            return sum(stream.write(chunk) for chunk in _as_sent(chunks))

    def take(self, key: str, file: BinaryIO, *, size: int) -> int:
        """Give the file a name here, which costs nothing; copy it where that cannot be."""
        target = self._path(key)
        temporary = self._temporary(target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _name(file, temporary)
        except OSError:  # It lies in another file system, has a name already, or the system has no such links.
            return self.write(key, part_of(file, size))
        with self._storing(), _becoming(temporary, target):
            os.ftruncate(file.fileno(), size)
            os.fsync(file.fileno())
        return size

    def open(self, key: str) -> BinaryIO:
        """Open the file."""
        try:
            return self._path(key).open("rb")
        except NO_OBJECT:
            raise ObjectMissing(key) from None

    def read(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Read the file."""
        return pieces(self.open(key), start=start, length=length)

    def copy(self, source: str, target: str) -> int:
        """Give the file a second name, which costs nothing as it never changes; copy it where that cannot be."""
        path = self._path(source)
        size = self.size(source)
        temporary = self._temporary(self._path(target))
        with self._storing(), _becoming(temporary, self._path(target)):
            temporary.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, temporary)
            except FileNotFoundError:
                raise ObjectMissing(source) from None
            except OSError:
                shutil.copyfile(path, temporary)
        return size

    def discard_unfinished(self, *, before: datetime) -> None:
        """Remove temporary files that nobody has written to since then."""
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = Path(folder, name)
                with suppress(FileNotFoundError):
                    if name.startswith(UNFINISHED) and path.stat().st_mtime < before.timestamp():
                        path.unlink()

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

    @staticmethod
    def _temporary(target: Path) -> Path:
        return target.with_name(f"{UNFINISHED}{uuid.uuid4().hex}")

    @contextmanager
    def _new_file(self, target: Path) -> Iterator[BinaryIO]:
        """Lend a temporary file, which then becomes the target; it is removed where anything goes wrong."""
        with self._storing():
            target.parent.mkdir(parents=True, exist_ok=True)
            with (
                tempfile.NamedTemporaryFile(dir=target.parent, prefix=UNFINISHED, delete=False) as stream,
                _becoming(Path(stream.name), target),
            ):
                yield stream  # type: ignore[misc]
                stream.flush()
                os.fsync(stream.fileno())  # A row that is committed must not outlive the bytes that it names.

    @contextmanager
    def _storing(self) -> Iterator[None]:
        """Say what an error of the file system means here."""
        try:
            yield
        except _SenderFailed as failed:
            raise failed.error from None
        except OSError as error:
            if error.errno in NO_ROOM:
                message = f"No room is left in {self.root}: free some, then try again; nothing was stored."
                raise StorageFull(message) from error
            message = f"{self.root} could not be written: {error.strerror}."
            raise StorageUnavailable(message) from error

    def _path(self, key: str) -> Path:
        return self.root / os.fspath(checked(key))


@contextmanager
def _becoming(temporary: Path, target: Path) -> Iterator[None]:
    """Rename a temporary file to its target; remove it where anything goes wrong."""
    try:
        yield
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _name(file: BinaryIO, path: Path) -> None:
    """Give an open file, which may have no name, one; raise OSError where that cannot be."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # With a folder Python asks the system call that follows links, as those in /proc must be.
        os.link(f"/proc/self/fd/{file.fileno()}", path.name, dst_dir_fd=folder)
    finally:
        os.close(folder)


def _as_sent(chunks: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from chunks
    except OSError as error:
        raise _SenderFailed(error) from error
