"""What only storage in a directory can get wrong: full disks, leftovers and folders."""

import errno
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest

from qanat.storage.local import LocalStorage
from qanat.storage.port import StorageError, StorageFull, StorageUnavailable
from tests.unit.storage.test_storage import ReaderGone, content, half_of_it

ROOM = 10
"""Bytes that fit on the full disk."""


class FullDisk:
    """A temporary file on a disk with room for ``ROOM`` bytes."""

    def __init__(self, path: Path, code: int) -> None:
        self.name = str(path)
        self._stream = path.open("xb")
        self._code = code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._stream.close()

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, chunk: bytes) -> int:
        if self._stream.tell() + len(chunk) > ROOM:
            raise OSError(self._code, os.strerror(self._code))
        return self._stream.write(chunk)


def fill(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def on_a_full_disk(*, dir: Path, prefix: str, delete: bool) -> FullDisk:  # noqa: A002 - the real one's name
        assert not delete
        return FullDisk(dir / f"{prefix}temporary", code)

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", on_a_full_disk)


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """Have the operating system refuse longer files, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT], ids=errno.errorcode.__getitem__)
def test_a_full_disk_is_said_to_be_full_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    storage = LocalStorage(tmp_path)
    storage.write("runs/1/a", [b"before"])
    fill(monkeypatch, code)

    with pytest.raises(StorageFull, match=rf"No room is left in {tmp_path}.*nothing was stored"):
        storage.write("runs/1/a", [b"fits", b"does not fit"])

    assert files(tmp_path) == ["runs/1/a"]
    assert content(storage, "runs/1/a") == b"before"


def test_the_full_disk_of_these_tests_takes_what_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = LocalStorage(tmp_path)
    fill(monkeypatch, errno.ENOSPC)

    storage.write("a", [b"fits", b"too"])

    assert content(storage, "a") == b"fitstoo"


@pytest.mark.parametrize("size", [4096, 1_000_000], ids=["found out on closing", "found out on writing"])
def test_what_the_operating_system_does_not_take_is_no_room(tmp_path: Path, size: int) -> None:
    storage = LocalStorage(tmp_path)

    with files_no_longer_than(1024), pytest.raises(StorageFull):
        storage.write("runs/1/a", [bytes(size)])

    assert files(tmp_path) == []


def test_another_error_of_the_disk_is_not_called_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(monkeypatch, errno.EIO)

    with pytest.raises(StorageUnavailable, match="could not be written: Input/output error"):
        LocalStorage(tmp_path).write("a", [b"does not fit"])

    assert files(tmp_path) == []


def test_a_root_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StorageError, match="could not be written"):
        LocalStorage(tmp_path / "file" / "root").write("a", [b"x"])

    assert (tmp_path / "file").read_text() == "in the way"


def test_no_part_of_a_file_is_left_when_the_chunks_end_half_way(tmp_path: Path) -> None:
    with pytest.raises(ReaderGone):
        LocalStorage(tmp_path).write("runs/1/output", half_of_it())

    assert files(tmp_path) == []


def test_deleting_takes_away_the_folders_that_are_empty_then_and_no_others(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "root")
    storage.write("runs/1/deep/a", [b"x"])
    storage.write("runs/2/a", [b"x"])

    storage.delete("runs/1/deep/a")

    assert not (tmp_path / "root" / "runs" / "1").exists()
    assert files(tmp_path) == ["root/runs/2/a"]


def test_deleting_the_last_object_leaves_the_root(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "root")
    storage.write("runs/1/a", [b"x"])

    storage.delete("runs/1/a")

    assert list((tmp_path / "root").iterdir()) == []


def test_the_path_of_an_object_is_where_its_bytes_are(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.write("runs/1/a", [b"x"])

    path = storage.local_path("runs/1/a")

    assert path == tmp_path / "runs" / "1" / "a"
    assert path.read_bytes() == b"x"


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a/../../x"])
def test_there_is_no_path_for_a_key_that_leads_outside(tmp_path: Path, key: str) -> None:
    storage = LocalStorage(tmp_path)

    with pytest.raises(ValueError, match="is not a storage key"):
        storage.local_path(key)


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="this system has no files without names")
def test_a_file_without_a_name_becomes_the_object_and_is_not_copied(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "root")
    storage.root.mkdir()
    with os.fdopen(os.open(tmp_path, os.O_TMPFILE | os.O_RDWR), "w+b") as file:
        file.write(b"content and more")
        file.flush()
        storage.take("runs/1/a", file, size=7)
        same = os.fstat(file.fileno()).st_ino == (storage.root / "runs/1/a").stat().st_ino

    assert same
    assert content(storage, "runs/1/a") == b"content"
    assert files(tmp_path) == ["root/runs/1/a"]
