"""Archives: gzip at level 1 (level 9 costs more than making the inputs), and extraction that trusts nothing."""

import gzip
import json
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

LEVEL: Final = 1
MOST_MEMBERS: Final = 1_000_000
MOST_BYTES: Final = 500 * 2**30
MOST_RATIO: Final = 200
"""How many times larger than itself an archive may unpack: exposure and loss tables reach 20."""
RATIO_FROM_BYTES: Final = 256 * 2**20
"""Less than this is no danger, whatever the ratio: a table of zeros is small."""
LINKS: Final = ".links.json"
"""Names the links that an archive leaves out: path -> target relative to the model's data."""


class UnsafeArchive(Exception):
    """The archive wants to write where it may not, or more than is sensible."""


def pack(
    directory: Path, target: Path, *, members: Iterable[str] = (".",), keep: Callable[[Path], bool] | None = None
) -> Path:
    """Write the members of a directory to a tar.gz, sorted, without owners; FIFOs and links are left out.

    Args:
        directory: member names are relative to it.
        target: the archive.
        members: files or folders; ``"."`` is everything.
        keep: whether a path goes in; default: all.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w:gz", compresslevel=LEVEL) as archive:
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
    with tarfile.open(archive_path, "r|*") as before, tarfile.open(target, "w:gz", compresslevel=LEVEL) as archive:
        for member in before:
            if member.name.removeprefix("./") not in instead:
                archive.addfile(member, before.extractfile(member) if member.isreg() else None)
        for name, path in instead.items():
            archive.add(path.resolve(), arcname=name, recursive=False, filter=_anonymous)


def unpack(archive_path: Path, directory: Path) -> None:
    """Extract a tar.gz.

    Raises:
        UnsafeArchive: a member leads out of the directory, is a link to outside or a device, or there is too much.
    """
    directory.mkdir(parents=True, exist_ok=True)
    members = total = 0
    most = min(MOST_BYTES, max(RATIO_FROM_BYTES, MOST_RATIO * archive_path.stat().st_size))
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
