"""Archives come back as they were, and none writes where it may not."""

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from qanat.contract import archives as limits
from qanat.worker import archives
from qanat.worker.archives import UnsafeArchive


def tar(path: Path, *members: tarfile.TarInfo, content: bytes = b"x") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return path


def member(name: str, *, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def test_a_folder_comes_back_as_it_was(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "work" / "deep").mkdir(parents=True)
    (source / "work" / "deep" / "summary.bin").write_bytes(b"\0\1\2")

    archives.unpack(archives.pack(source, tmp_path / "a.tar.gz"), tmp_path / "target")

    assert (tmp_path / "target" / "work" / "deep" / "summary.bin").read_bytes() == b"\0\1\2"


def test_the_same_content_gives_the_same_members_in_the_same_order(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / "source").mkdir(exist_ok=True)
        (tmp_path / "source" / name).write_text(name)

    archives.pack(tmp_path / "source", tmp_path / "a.tar.gz")

    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        assert archive.getnames() == ["a", "b", "c"]
        assert {info.uid for info in archive} == {0}


@pytest.mark.parametrize(
    "bad",
    [
        member("../outside"),
        member("link", kind=tarfile.SYMTYPE, target="/etc/passwd"),
        member("link", kind=tarfile.LNKTYPE, target="../../outside"),
        member("device", kind=tarfile.CHRTYPE),
        member("pipe", kind=tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name}-{info.type.decode()}",
)
def test_what_leads_outside_or_is_no_file_is_refused(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    archive = tar(tmp_path / "bad.tar.gz", bad)

    with pytest.raises(UnsafeArchive, match=r"bad\.tar\.gz cannot be unpacked"):
        archives.unpack(archive, tmp_path / "in" / "target")

    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["bad.tar.gz"]


def test_an_absolute_name_is_taken_as_one_beneath_the_folder(tmp_path: Path) -> None:
    archive = tar(tmp_path / "absolute.tar.gz", member("/etc/outside"))

    archives.unpack(archive, tmp_path / "target")

    assert (tmp_path / "target" / "etc" / "outside").is_file()
    assert not Path("/etc/outside").exists()


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def garbled(content: bytes) -> bytes:
    return content[:20] + b"\xff" * 20 + content[40:]


@pytest.mark.parametrize("damage", [truncated, garbled, lambda _: b"not an archive"], ids=["cut", "garbled", "text"])
def test_a_damaged_archive_is_refused_with_a_sentence(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    whole = tar(tmp_path / "whole.tar.gz", member("data"), content=bytes(range(256)) * 400)
    damaged = tmp_path / "inputs.tar.gz"
    damaged.write_bytes(damage(whole.read_bytes()))

    with pytest.raises(UnsafeArchive, match=r"inputs\.tar\.gz cannot be unpacked"):
        archives.unpack(damaged, tmp_path / "target")


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RATIO_FROM_BYTES", 2**20)
    bomb = tar(tmp_path / "bomb.tar.gz", member("zeros"), content=bytes(8 * 2**20))

    with pytest.raises(UnsafeArchive, match="unpacks to more than"):
        archives.unpack(bomb, tmp_path / "target")

    assert not (tmp_path / "target" / "zeros").exists()


def test_links_into_the_models_data_are_made_again_and_others_take_along_what_they_name(tmp_path: Path) -> None:
    data, run, user = tmp_path / "data", tmp_path / "run", tmp_path / "user.csv"
    (data / "sub").mkdir(parents=True)
    (data / "sub" / "footprint.bin").write_text("model")
    user.write_text("user's own")
    (run / "static").mkdir(parents=True)
    (run / "static" / "footprint.bin").symlink_to(data / "sub" / "footprint.bin")
    (run / "static" / "user.csv").symlink_to(user)

    archives.note_links(run, data=data)
    archives.unpack(archives.pack(run, tmp_path / "run.tar.gz"), tmp_path / "elsewhere")
    user.unlink()
    archives.restore_links(tmp_path / "elsewhere", data=data)

    static = tmp_path / "elsewhere" / "static"
    assert (static / "footprint.bin").readlink() == data / "sub" / "footprint.bin"
    assert (static / "user.csv").read_text() == "user's own"


def test_a_model_without_a_data_folder_takes_all_along(tmp_path: Path) -> None:
    (tmp_path / "static").mkdir()
    (tmp_path / "events.bin").write_text("events")
    (tmp_path / "static" / "events.bin").symlink_to(tmp_path / "events.bin")

    archives.note_links(tmp_path / "static", data=None)
    archives.restore_links(tmp_path / "static", data=None)

    assert not (tmp_path / "static" / "events.bin").is_symlink()
    assert (tmp_path / "static" / "events.bin").read_text() == "events"


def test_an_archive_of_several_sections_is_copied_whole(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    content = os.urandom(limits.SECTION_BYTES // 4)
    for number in range(12):
        (source / f"{number}.bin").write_bytes(content)
    (tmp_path / "new.bin").write_text("new")

    archive = archives.pack(source, tmp_path / "before.tar.gz")
    archives.repack(archive, tmp_path / "after.tar.gz", instead={"new.bin": tmp_path / "new.bin"})
    archives.unpack(tmp_path / "after.tar.gz", tmp_path / "there")

    found = {path.name: path.read_bytes() for path in (tmp_path / "there").iterdir()}
    assert found == {f"{number}.bin": content for number in range(12)} | {"new.bin": b"new"}


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar"])
def test_an_archive_is_compressed_if_its_name_says_so(tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "zeros").write_bytes(bytes(100_000))

    archive = archives.pack(source, tmp_path / name)
    archives.unpack(archive, tmp_path / "there")

    assert (archive.stat().st_size < 100_000) == name.endswith(".gz")
    assert (tmp_path / "there" / "zeros").read_bytes() == bytes(100_000)


def test_a_member_is_put_in_place_of_the_one_of_its_name(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "kept.txt").write_text("kept")
    (source / "deep" / "kept.txt").write_text("deep")
    (source / "occurrence.bin").write_text("old")
    archive = archives.pack(source, tmp_path / "before.tar.gz")
    (tmp_path / "new.bin").write_text("new")

    archives.repack(archive, tmp_path / "after.tar.gz", instead={"occurrence.bin": tmp_path / "new.bin"})
    archives.unpack(tmp_path / "after.tar.gz", tmp_path / "there")

    found = {
        path.relative_to(tmp_path / "there").as_posix(): path.read_text()
        for path in (tmp_path / "there").rglob("*")
        if path.is_file()
    }
    assert found == {"kept.txt": "kept", "deep/kept.txt": "deep", "occurrence.bin": "new"}


def test_an_archive_can_be_read_from_the_middle_on(tmp_path: Path) -> None:
    content = bytes(range(256)) * (3 * limits.SECTION_BYTES // 256)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "large").write_bytes(content)

    packed = archives.pack(tmp_path / "source", tmp_path / "a.tar.gz").read_bytes()

    beginnings = [start for start in range(1, len(packed)) if packed.startswith(b"\x1f\x8b\x08", start)]
    unpacked = [gzip.decompress(packed[start:]) for start in beginnings]
    assert [len(gzip.decompress(packed)) - len(rest) for rest in unpacked] == [
        limits.SECTION_BYTES * number for number in (1, 2, 3)
    ]


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a").write_bytes(b"x")

    first = archives.pack(tmp_path / "source", tmp_path / "a.tar.gz").read_bytes()
    again = archives.pack(tmp_path / "source", tmp_path / "b.tar.gz").read_bytes()

    assert first == again
