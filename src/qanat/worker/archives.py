"""Archives: tar.gz for users, plain tar between the steps of a run, and extraction that trusts nothing.

gzip is at level 1, for level 9 costs more than making the inputs, and is begun anew every few megabytes, so that
whoever wants a file out of the middle can begin near it. What only the next step reads is not compressed: that would
take longer than to send it.
"""

import gzip
import json
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, Final, Self

from qanat.contract.archives import MOST_MEMBERS, SECTION_BYTES, most_unpacked

LEVEL: Final = 1
LINKS: Final = ".links.json"
"""Names the links that an archive leaves out: path -> target relative to the model's data."""


class UnsafeArchive(Exception):
    """The archive wants to write where it may not, or more than is sensible."""


def pack(
    directory: Path, target: Path, *, members: Iterable[str] = (".",), keep: Callable[[Path], bool] | None = None
) -> Path:
    """Write the members of a directory to an archive, sorted, without owners; FIFOs and links are left out.

    Args:
        directory: member names are relative to it.
        target: the archive; its suffix says whether it is compressed: ``.tar.gz`` or ``.tar``.
        members: files or folders; ``"."`` is everything.
        keep: whether a path goes in; default: all.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _new(target) as archive:
        for member in members:
            root = directory / member
            for path in sorted([root, *root.rglob("*")] if root.is_dir() else [root]):
                regular = path.is_dir() or path.is_file()
                if path == directory or path.is_symlink() or not regular or (keep and not keep(path)):
                    continue
                archive.add(path, arcname=str(path.relative_to(directory)), recursive=False, filter=_anonymous)
    return target


def repack(archive_path: Path, target: Path, *, instead: Mapping[str, Path]) -> None:
    """Copy a tar.gz, with some members taken from files, in place of those of the same name where there are any."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not as a stream ("r|"), of which tarfile reads the first section only.
    with tarfile.open(archive_path, "r:*") as before, _new(target) as archive:
        for member in before:
            if member.name.removeprefix("./") not in instead:
                archive.addfile(member, before.extractfile(member) if member.isreg() else None)
        for name, path in instead.items():
            archive.add(path.resolve(), arcname=name, recursive=False, filter=_anonymous)


def unpack(archive_path: Path, directory: Path) -> None:
    """Extract an archive, compressed or not.

    Raises:
        UnsafeArchive: a member leads out of the directory, is a link to outside or a device, or there is too much.
    """
    directory.mkdir(parents=True, exist_ok=True)
    members = total = 0
    most = most_unpacked(archive_path.stat().st_size)
    try:
        with tarfile.open(archive_path, "r:*") as archive:
            for member in archive:
                members += 1
                total += member.size
                if members > MOST_MEMBERS or total > most:
                    message = f"{archive_path.name} unpacks to more than {MOST_MEMBERS} members or {most} bytes."
                    raise UnsafeArchive(message)
                archive.extract(member, directory, filter="data")
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = f"{archive_path.name} cannot be unpacked: {error}"
        raise UnsafeArchive(message) from error


@contextmanager
def _new(target: Path) -> Iterator[tarfile.TarFile]:
    with (
        target.open("wb") as stream,
        nullcontext(stream) if target.suffix == ".tar" else _Sections(stream) as sink,
        tarfile.open(fileobj=sink, mode="w") as archive,  # type: ignore[call-overload]
    ):
        yield archive


class _Sections:
    """A file that compresses what is written to it, in sections that each can be read by itself."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._gzip = self._begin()
        self._written = 0
        self._left = SECTION_BYTES

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._gzip.close()

    def tell(self) -> int:
        """Return how much was written."""
        return self._written

    def write(self, content: bytes) -> int:
        """Compress; the section ends where it is full."""
        rest = memoryview(content)
        while rest:
            if not self._left:
                self._gzip.close()
                self._gzip = self._begin()
                self._left = SECTION_BYTES
            part = rest[: self._left]
            self._gzip.write(part)
            self._left -= len(part)
            rest = rest[len(part) :]
        self._written += len(content)
        return len(content)

    def _begin(self) -> gzip.GzipFile:
        return gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=self._target, mtime=0)


def note_links(directory: Path, *, data: Path | None) -> None:
    """Make a directory fit to be packed: archives leave links out.

    Links into the model's data are noted, so that ``restore_links`` makes them elsewhere; what other links name, such
    as a user's own data files, takes their place.
    """
    links: dict[str, str] = {}
    for path in [path for path in directory.rglob("*") if path.is_symlink()]:
        target = path.resolve()
        if data is not None and target.is_relative_to(data.resolve()):
            links[str(path.relative_to(directory))] = str(target.relative_to(data.resolve()))
        elif target.is_dir():
            path.unlink()
            shutil.copytree(target, path)
        elif target.is_file():
            path.unlink()
            shutil.copyfile(target, path)
    (directory / LINKS).write_text(json.dumps(links))


def restore_links(directory: Path, *, data: Path | None) -> None:
    """Make the links that ``note_links`` noted, into this host's copy of the model's data."""
    if data is None:
        (directory / LINKS).unlink()
        return
    noted = directory / LINKS
    for name, target in json.loads(noted.read_text()).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(data / target)
    noted.unlink()


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
