"""Looking into archives: read through once, then each file from near its own bytes."""

import gzip
import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from pytest_django import DjangoAssertNumQueries

from qanat.contract import archives as limits
from qanat.server.files import archives
from qanat.server.files.archives import ArchiveUnreadable, MemberMissing
from qanat.server.files.models import ArchiveIndex, StoredFile
from qanat.server.files.operations import delete_file
from qanat.server.files.storage import storage
from qanat.worker.archives import pack
from tests.factories import make_file

pytestmark = pytest.mark.django_db
MIB = 2**20
SIZE = 5 * MIB // 2
CONTENTS = {f"output/{name}.csv": os.urandom(SIZE) + name.encode() for name in ("first", "second", "third", "last")}


def stored(packed: bytes) -> StoredFile:
    return make_file(packed, filename="output.tar.gz", content_type="application/gzip")


def tar(*members: tarfile.TarInfo, content: bytes = b"x", tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tar_format) as archive:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


@pytest.fixture(params=["in sections", "in one section"])
def large(request: pytest.FixtureRequest, tmp_path: Path) -> StoredFile:
    """An archive of 10 MiB, as our workers and as stock workers write it."""
    (tmp_path / "output").mkdir()
    for name, content in CONTENTS.items():
        (tmp_path / name).write_bytes(content)
    packed = pack(tmp_path, tmp_path / "a.tar.gz", members=["output"]).read_bytes()
    return stored(packed if request.param == "in sections" else gzip.compress(gzip.decompress(packed), 1))


def content_of(file: StoredFile, name: str) -> bytes:
    member, pieces = archives.open_member(file, name)
    content = b"".join(pieces)
    assert len(content) == member.size
    return content


def test_every_file_comes_out_as_it_went_in(large: StoredFile) -> None:
    names = archives.members(large)

    assert set(names) == set(CONTENTS)
    for name in reversed(names):
        assert content_of(large, name) == CONTENTS[name]


def test_an_archive_is_read_through_once(large: StoredFile, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    archives.members(large)
    storage().delete(large.key)

    with django_assert_num_queries(1):
        names = archives.members(large)

    assert len(names) == 4


def test_a_file_is_read_from_near_its_own_bytes(
    tmp_path: Path, large: StoredFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives.members(large)
    read: list[int] = []
    counted = storage()
    original = counted.read

    def read_from(key: str, *, start: int = 0, length: int | None = None) -> object:
        read.append(start)
        return original(key, start=start, length=length)

    monkeypatch.setattr(counted, "read", read_from)
    in_sections = len(ArchiveIndex.objects.get(file=large).sections) > 1

    content_of(large, "output/third.csv")

    position = SIZE * sorted(CONTENTS).index("output/third.csv")
    assert position - limits.SECTION_BYTES - MIB < read[0] <= position + MIB if in_sections else read == [0]


def test_little_is_held_in_memory(large: StoredFile) -> None:
    archives.members(large)

    tracemalloc.start()
    size = sum(map(len, archives.open_member(large, "output/last.csv")[1]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert size == len(CONTENTS["output/last.csv"])
    assert peak < 2 * MIB


def test_an_index_goes_with_its_archive(large: StoredFile) -> None:
    archives.members(large)

    delete_file(large)

    assert not ArchiveIndex.objects.exists()


def test_folders_links_devices_and_files_with_holes_are_no_files() -> None:
    kinds = (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)
    members = [tarfile.TarInfo(f"kind-{kind.decode()}") for kind in kinds]
    for member, kind in zip(members, kinds, strict=True):
        member.type = kind
    file = stored(gzip.compress(tar(tarfile.TarInfo("file"), *members)))

    assert archives.members(file) == ["file"]
    for member in members:
        with pytest.raises(MemberMissing):
            archives.open_member(file, member.name)


@pytest.mark.parametrize("name", ["é/ü.csv", "x" * 300, "a b/c\nd", "deep/" * 60 + "file"])
@pytest.mark.parametrize("tar_format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_file_may_have_an_odd_name(name: str, tar_format: int) -> None:
    file = stored(gzip.compress(tar(tarfile.TarInfo(name), content=b"content", tar_format=tar_format)))

    assert archives.members(file) == [name]
    assert content_of(file, name) == b"content"


def test_a_name_in_no_known_encoding_can_still_be_asked_for() -> None:
    packed = gzip.compress(tar(tarfile.TarInfo("caf\udce9"), tar_format=tarfile.GNU_FORMAT))
    file = stored(packed)

    (name,) = archives.members(file)

    assert name == "caf\N{REPLACEMENT CHARACTER}"
    assert content_of(file, name) == b"x"


def test_of_two_files_with_one_name_the_last_counts_as_it_does_for_tar() -> None:
    packed = gzip.compress(tar(tarfile.TarInfo("a"), content=b"first")[:1024]) + gzip.compress(
        tar(tarfile.TarInfo("a"), content=b"second")
    )

    assert content_of(stored(packed), "a") == b"second"


def test_an_archive_may_be_empty() -> None:
    assert archives.members(stored(gzip.compress(tar()))) == []


def test_zeros_after_the_end_are_no_damage() -> None:
    file = stored(gzip.compress(tar(tarfile.TarInfo("a"))) + bytes(100_000))

    assert archives.members(file) == ["a"]


def long_header() -> bytes:
    """A header that claims to be followed by 8 GB of attributes."""
    info = tarfile.TarInfo("attributes")
    info.type, info.size = tarfile.XHDTYPE, 8 * 10**9
    return info.tobuf(tarfile.USTAR_FORMAT) + bytes(10 * MIB)


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (b"", "it is cut off"),
        (b"tar", "incorrect header check"),
        (b"no archive at all, but a text", "incorrect header check"),
        (gzip.compress(tar(tarfile.TarInfo("a"), content=os.urandom(MIB)))[: MIB // 2], "it is cut off"),
        (gzip.compress(b"no tar at all" * 1000), "invalid header"),
        (gzip.compress(tar(tarfile.TarInfo("a"))) + b"rubbish", "incorrect header check"),
        (gzip.compress(long_header()), "one of its headers is 8000000000 bytes long"),
    ],
    ids=["empty", "three letters", "text", "cut off", "gzip of text", "rubbish behind", "long header"],
)
def test_what_is_no_archive_is_said_to_be_none(packed: bytes, reason: str) -> None:
    with pytest.raises(ArchiveUnreadable, match=rf"'output.tar.gz' is no archive that can be looked into: .*{reason}"):
        archives.members(stored(packed))

    assert not ArchiveIndex.objects.exists()


def test_an_archive_that_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RATIO_FROM_BYTES", MIB)
    file = stored(gzip.compress(tar(tarfile.TarInfo("zeros"), content=bytes(20 * MIB))))

    with pytest.raises(ArchiveUnreadable, match="it unpacks to more than"):
        archives.members(file)


def test_an_archive_with_members_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBERS", 2)
    file = stored(gzip.compress(tar(*map(tarfile.TarInfo, "abc"))))

    with pytest.raises(ArchiveUnreadable, match="it has more than 2 members"):
        archives.members(file)
