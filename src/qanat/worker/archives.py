"""Archives that steps exchange: tar.gz, packed fast, and unpacked without trust in what they contain.

Compression level 1: at 100,000 locations packing takes about one CPU-second instead of 26 at level 9, and the archive is
read again minutes later.
"""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

COMPRESSION_LEVEL: Final = 1
MEMBERS_MAX: Final = 500_000
BYTES_MAX: Final = 256 * 2**30
RATIO_MAX: Final = 1000
"""gzip cannot do much better than this on real data; a bomb of zeros reaches 1030."""
RATIO_FREE_BYTES: Final = 64 * 2**20
"""Below this size the ratio does not matter: small files of zeros are common."""


class ArchiveRefused(Exception):
    """The archive is damaged or contains what no archive of ours contains."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much an archive may contain."""

    members: int = MEMBERS_MAX
    total_bytes: int = BYTES_MAX
    ratio: int = RATIO_MAX


def everything_in(directory: Path, *, below: str = "") -> Iterator[tuple[str, Path]]:
    """Yield (name in the archive, path) of all files and empty directories in ``directory``, sorted by name.

    Symbolic links are followed to files, so that the archive contains none.
    """
    for path in sorted(directory.rglob("*")):
        if path.is_file() or (path.is_dir() and not any(path.iterdir())):
            yield str(PurePosixPath(below, path.relative_to(directory).as_posix())), path


def pack(members: Iterable[tuple[str, Path]], archive: Path) -> int:
    """Write a tar.gz of ``members`` and return its size in bytes; equal members give equal bytes."""
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=COMPRESSION_LEVEL, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT, dereference=True) as tar,
    ):
        for name, path in members:
            tar.add(path, arcname=name, recursive=False, filter=_anonymous)
    return archive.stat().st_size


def unpack(
    archive: Path, directory: Path, *, limits: Limits | None = None, wanted: Callable[[str], bool] | None = None
) -> list[Path]:
    """Unpack a tar.gz into ``directory`` and return the paths of its files.

    Only plain files and directories whose names stay inside are accepted. ``wanted`` selects members by name.

    Raises:
        ArchiveRefused: not a readable archive, a member that is a link, a device or leads outside, or more than
            ``limits`` allow. What was unpacked before stays in ``directory``, which belongs to one attempt only.
    """
    limits = limits or Limits()
    allowed = min(limits.total_bytes, max(RATIO_FREE_BYTES, archive.stat().st_size * limits.ratio))
    paths: list[Path] = []
    total = 0
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, mode="r|gz") as tar:
            for number, member in enumerate(tar, start=1):
                if not (member.isreg() or member.isdir()):
                    message = f"The archive {archive.name} contains '{member.name}', which is a link or a device."
                    raise ArchiveRefused(message)
                total += member.size
                if number > limits.members or total > allowed:
                    message = f"The archive {archive.name} contains more than allowed ({number} members, {total} bytes)."
                    raise ArchiveRefused(message)
                if wanted is not None and not wanted(member.name):
                    continue
                tar.extract(member, directory, filter="data")
                if member.isreg():
                    paths.append(directory / member.name)
    except tarfile.FilterError as error:
        message = f"The archive {archive.name} contains a name that leads outside of it: {error}."
        raise ArchiveRefused(message) from error
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = f"The archive {archive.name} is damaged: {error}."
        raise ArchiveRefused(message) from error
    return paths


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    # Who packed it and when must not change the bytes; contents and names are all that matters.
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    member.mode = 0o755 if member.isdir() else 0o644
    return member
