"""Single files out of archives: an archive is read through once, and from then on its index says where each file lies.

gzip has no way to begin in the middle but where a section of it begins. Workers begin one every few megabytes
(``contract.archives.SECTION_BYTES``), so a file of theirs is read from near its own bytes. An archive in one section,
as stock workers write them, is unpacked up to the file, in little memory.
"""

import tarfile
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from qanat.contract.archives import MOST_MEMBERS, most_unpacked
from qanat.server.files.models import ArchiveIndex, StoredFile
from qanat.server.files.storage import storage
from qanat.storage.pieces import Reading
from qanat.storage.port import PIECE_BYTES

GZIP: Final = 31
"""zlib's name for the format."""
TAR_BLOCK_BYTES: Final = 2**18
LONGEST_HEADER: Final = 2**20
HEADERS_IN_MEMORY: Final = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


class ArchiveUnreadable(Exception):
    """It is no tar.gz, is damaged, or unpacks to more than is sensible; the message says which."""


class MemberMissing(Exception):
    """The archive has no file of that name."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A file in an archive."""

    name: str
    size: int
    offset: int
    """Of its first byte in the unpacked archive."""


def members(file: StoredFile) -> list[str]:
    """Return the names of the files in an archive, in its order; folders, links and devices are none.

    Raises:
        ArchiveUnreadable: see there.
        ObjectMissing, StorageUnavailable: it cannot be had from storage.
    """
    return list(_index(file).members)


def open_member(file: StoredFile, name: str) -> tuple[Member, Iterator[bytes]]:
    """Return a file of an archive, and its content piece by piece.

    Raises:
        MemberMissing: there is none of that name.
        ArchiveUnreadable: see there.
        ObjectMissing, StorageUnavailable: it cannot be had from storage.
    """
    index = _index(file)
    if name not in index.members:
        raise MemberMissing(name)
    size, offset = index.members[name]
    member = Member(name=name, size=size, offset=offset)
    unpacked, packed = index.sections[bisect_right(index.sections, offset, key=lambda section: section[0]) - 1]
    source = storage().read(file.key, start=packed)
    content = _cut(_Unpacking(source, unpacked=unpacked, packed=packed), start=offset, size=size)
    return member, Reading(content, getattr(source, "close", lambda: None))


def _index(file: StoredFile) -> ArchiveIndex:
    """Return the index of an archive; make it where there is none."""
    found = ArchiveIndex.objects.filter(file=file).first()
    return found or ArchiveIndex.objects.get_or_create(file=file, defaults=_read_through(file))[0]


def _read_through(file: StoredFile) -> dict[str, Any]:
    source = storage().read(file.key)
    unpacking = _Unpacking(source, most=most_unpacked(file.size))
    found: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(fileobj=unpacking, mode="r|", bufsize=TAR_BLOCK_BYTES, tarinfo=_Info) as archive:  # type: ignore[call-overload]
            for count, member in enumerate(archive):
                archive.members = []  # It would keep all of them.
                if count == MOST_MEMBERS:
                    _refuse(file, f"it has more than {MOST_MEMBERS} members")
                if member.isfile() and not member.issparse():
                    found[_readable(member.name)] = (member.size, member.offset_data)
        while unpacking.read(TAR_BLOCK_BYTES):
            pass
    except (tarfile.TarError, zlib.error, EOFError, ValueError) as error:
        _refuse(file, str(error))
    finally:
        getattr(source, "close", lambda: None)()
    return {"members": found, "sections": unpacking.sections}


def _readable(name: str) -> str:
    """Return a name that JSON and any database can carry, whatever bytes it was made of."""
    return name.encode(errors="surrogateescape").decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _refuse(file: StoredFile, reason: str) -> None:
    message = f"'{file.filename}' is no archive that can be looked into: {reason}."
    raise ArchiveUnreadable(message)


class _Info(tarfile.TarInfo):
    """A header of tar that does not let others of its kind fill the memory."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in HEADERS_IN_MEMORY and self.size > LONGEST_HEADER:
            message = f"one of its headers is {self.size} bytes long"
            raise ValueError(message)
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


class _Unpacking:
    """What a gzip stream unpacks to, forwards only; notes where its sections begin."""

    def __init__(self, source: Iterator[bytes], *, unpacked: int = 0, packed: int = 0, most: int | None = None) -> None:
        """Unpack ``source``, which begins at these two offsets; refuse more than ``most`` bytes."""
        self._source = source
        self._packed = packed
        self._most = most
        self._gzip = zlib.decompressobj(GZIP)
        self._ahead = b""
        self.offset = unpacked
        """Of the next byte."""
        self.sections = [(unpacked, packed)]
        """Where sections begin: in what is unpacked, and in the archive."""

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes, fewer only at the end.

        Raises:
            zlib.error, EOFError, ValueError: it is no gzip, is cut off, or there is too much.
        """
        taken: list[bytes] = []
        left = size
        while left and (piece := self._some(left)):
            taken.append(piece)
            left -= len(piece)
        return b"".join(taken)

    def _some(self, most: int) -> bytes:
        while True:
            if self._gzip.eof and not self._next_section():
                return b""
            if not self._ahead:
                self._ahead = next(self._source, b"")
                if not self._ahead:
                    message = "it is cut off"
                    raise EOFError(message)
            given = len(self._ahead)
            piece = self._gzip.decompress(self._ahead, most)
            self._ahead = self._gzip.unused_data if self._gzip.eof else self._gzip.unconsumed_tail
            self._packed += given - len(self._ahead)
            self.offset += len(piece)
            if self._most is not None and self.offset > self._most:
                message = f"it unpacks to more than {self._most} bytes"
                raise ValueError(message)
            if piece:
                return piece

    def _next_section(self) -> bool:
        """Begin the next section; False at the end, where some programmes leave zeros."""
        while not (rest := self._ahead.lstrip(b"\0")):
            self._packed += len(self._ahead)
            self._ahead = next(self._source, b"")
            if not self._ahead:
                return False
        self._packed += len(self._ahead) - len(rest)
        self._ahead = rest
        self._gzip = zlib.decompressobj(GZIP)
        self.sections.append((self.offset, self._packed))
        return True


def _cut(unpacking: _Unpacking, *, start: int, size: int) -> Iterator[bytes]:
    """Yield a part of what is unpacked."""
    while unpacking.offset < start + size:
        before = unpacking.offset
        piece = unpacking.read(min(PIECE_BYTES, (start if before < start else start + size) - before))
        if not piece:
            message = "the archive ends before its index does"
            raise EOFError(message)
        if before >= start:
            yield piece
