"""Every storage keeps the promises of the port."""

import hashlib
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from qanat.storage.local import LocalStorage
from qanat.storage.memory import MemoryStorage
from qanat.storage.port import ObjectMissing, Storage
from tests import object_stores
from tests.object_stores import REMOTE

MIB = 2**20


@pytest.fixture(params=["local", "memory", *REMOTE])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """Each storage, empty; the remote ones are of servers that run for the whole session, below a fresh location."""
    if request.param == "local":
        return LocalStorage(tmp_path / "root")
    if request.param == "memory":
        return MemoryStorage()
    return object_stores.fresh(request.getfixturevalue(f"{request.param}_server"))


def content(storage: Storage, key: str) -> bytes:
    with storage.open(key) as stream:
        return stream.read()


class ReaderGone(Exception):
    """What the chunks come from has failed."""


def half_of_it() -> Iterator[bytes]:
    yield b"first half"
    raise ReaderGone


def test_an_object_comes_back_as_it_was_written(storage: Storage) -> None:
    size = storage.write("runs/1/input.tar.gz", [b"one", b"", b"\0\xfftwo"])

    assert content(storage, "runs/1/input.tar.gz") == b"one\0\xfftwo"
    assert size == storage.size("runs/1/input.tar.gz") == 8
    assert storage.exists("runs/1/input.tar.gz")


def test_an_object_may_be_empty(storage: Storage) -> None:
    size = storage.write("empty.csv", [])

    assert storage.exists("empty.csv")
    assert size == storage.size("empty.csv") == 0
    assert content(storage, "empty.csv") == b""


def test_a_file_of_this_host_is_taken_up_to_a_size(storage: Storage, tmp_path: Path) -> None:
    with tempfile.TemporaryFile(dir=tmp_path) as file:
        file.write(b"content, and the rest of a form")
        file.flush()
        size = storage.take("runs/1/taken", file, size=7)

    assert size == storage.size("runs/1/taken") == 7
    assert content(storage, "runs/1/taken") == b"content"


def test_a_stream_can_be_read_piece_by_piece_and_from_anywhere(storage: Storage) -> None:
    storage.write("a", [b"0123456789"])

    with storage.open("a") as stream:
        assert stream.read(4) == b"0123"
        stream.seek(8)
        assert stream.read() == b"89"


def test_what_is_not_there_is_missing_by_its_key(storage: Storage) -> None:
    storage.write("runs/1/there", [b"x"])

    assert not storage.exists("runs/1/gone")
    for ask in (storage.open, storage.size):
        with pytest.raises(ObjectMissing, match=r"'runs/1/gone' in storage") as caught:
            ask("runs/1/gone")
        assert caught.value.key == "runs/1/gone"


def test_keys_are_found_by_their_beginning(storage: Storage) -> None:
    for key in ("runs/1/a", "runs/1/b/c", "runs/11/a", "runs/1x"):
        storage.write(key, [b"x"])

    assert set(storage.keys("runs/1")) == {"runs/1/a", "runs/1/b/c"}
    assert not list(storage.keys("runs/2"))


def test_a_deleted_object_is_gone_and_its_neighbours_stay(storage: Storage) -> None:
    for key in ("runs/1/a", "runs/1/ab", "runs/2/a"):
        storage.write(key, [key.encode()])

    storage.delete("runs/1/a")

    assert not storage.exists("runs/1/a")
    assert content(storage, "runs/1/ab") == b"runs/1/ab"
    assert content(storage, "runs/2/a") == b"runs/2/a"


def test_deleting_what_is_not_there_is_no_error(storage: Storage) -> None:
    storage.write("runs/1/a", [b"x"])
    storage.delete("runs/1/a")

    storage.delete("runs/1/a")
    storage.delete("never/was")

    assert not storage.exists("runs/1/a")


def test_a_key_can_be_written_again_after_its_folder_was_emptied(storage: Storage) -> None:
    storage.write("runs/1/a", [b"first"])
    storage.delete("runs/1/a")

    storage.write("runs/1/a", [b"second"])

    assert content(storage, "runs/1/a") == b"second"


def test_a_stream_can_be_read_backwards(storage: Storage) -> None:
    storage.write("a", [bytes(range(256)) * 2000])

    with storage.open("a") as stream:
        stream.seek(-3, 2)
        end = stream.read()
        stream.seek(300_000)
        middle = stream.read(2)
        stream.seek(0)
        beginning = stream.read(2)

    assert (beginning, middle, end) == (b"\0\1", bytes([300_000 % 256, 300_001 % 256]), b"\xfd\xfe\xff")


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, None, b"0123456789"),
        (0, 10, b"0123456789"),
        (3, None, b"3456789"),
        (3, 4, b"3456"),
        (0, 1, b"0"),
        (9, 1, b"9"),
        (4, 0, b""),
    ],
)
def test_a_part_of_an_object_can_be_read(storage: Storage, start: int, length: int | None, expected: bytes) -> None:
    storage.write("a", [b"0123456789"])

    assert b"".join(storage.read("a", start=start, length=length)) == expected


def test_an_empty_object_is_read_as_nothing(storage: Storage) -> None:
    storage.write("a", [])

    assert b"".join(storage.read("a")) == b""


def test_a_missing_object_is_found_out_before_the_first_byte_is_asked_for(storage: Storage) -> None:
    with pytest.raises(ObjectMissing, match="'gone'"):
        storage.read("gone")
    with pytest.raises(ObjectMissing, match="'gone'"):
        storage.read("gone", start=3, length=0)


def test_a_copy_is_an_object_of_its_own(storage: Storage) -> None:
    storage.write("runs/1/a", [b"content"])

    size = storage.copy("runs/1/a", "files/b")
    storage.delete("runs/1/a")

    assert (size, content(storage, "files/b")) == (7, b"content")


def test_what_is_not_there_cannot_be_copied(storage: Storage) -> None:
    with pytest.raises(ObjectMissing, match="'gone'"):
        storage.copy("gone", "target")

    assert not storage.exists("target")


def test_a_large_object_goes_up_and_down_in_little_memory(storage: Storage) -> None:
    if isinstance(storage, MemoryStorage):
        pytest.skip("a storage in memory has it in memory")
    chunk, count = bytes(range(256)) * 4096, 100
    sent = hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        for number in range(count):
            numbered = number.to_bytes(4, "big") + chunk
            sent.update(numbered)
            yield numbered

    tracemalloc.start()
    try:
        size = storage.write("large", chunks())
        received = hashlib.sha256()
        for piece in storage.read("large"):
            received.update(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert size == storage.size("large") == count * (MIB + 4)
    assert received.digest() == sent.digest()
    assert peak < 60 * MIB


def test_a_part_of_a_large_object_can_be_read(storage: Storage) -> None:
    storage.write("large", (number.to_bytes(4, "big") * (MIB // 4) for number in range(20)))

    assert b"".join(storage.read("large", start=17 * MIB - 4, length=8)) == (16).to_bytes(4, "big") + (17).to_bytes(
        4, "big"
    )


def test_a_large_upload_that_ends_half_way_leaves_what_was_there(storage: Storage) -> None:
    storage.write("large", [b"as it was"])

    def breaking_off() -> Iterator[bytes]:
        for _ in range(40):
            yield bytes(MIB)
        raise ReaderGone

    with pytest.raises(ReaderGone):
        storage.write("large", breaking_off())

    assert content(storage, "large") == b"as it was"


def test_discarding_what_is_unfinished_leaves_what_is_finished(storage: Storage) -> None:
    storage.write("runs/1/a", [b"x"])

    storage.discard_unfinished(before=datetime.now(UTC) + timedelta(days=1))

    assert list(storage.keys("runs")) == ["runs/1/a"]


def test_a_stream_that_is_open_outlives_the_object(storage: Storage) -> None:
    storage.write("a", [b"whole"])

    with storage.open("a") as stream:
        storage.delete("a")
        left = stream.read()

    assert left == b"whole"


def test_nothing_is_stored_when_the_chunks_end_half_way(storage: Storage) -> None:
    with pytest.raises(ReaderGone):
        storage.write("runs/1/output", half_of_it())

    assert not storage.exists("runs/1/output")
    with pytest.raises(ObjectMissing):
        storage.open("runs/1/output")


def test_what_was_there_stays_when_the_chunks_end_half_way(storage: Storage) -> None:
    storage.write("runs/1/output", [b"as it was"])

    with pytest.raises(ReaderGone):
        storage.write("runs/1/output", half_of_it())

    assert content(storage, "runs/1/output") == b"as it was"


def test_nobody_sees_an_object_that_is_being_written(storage: Storage) -> None:
    seen: list[bool] = []

    def watching() -> Iterator[bytes]:
        for chunk in (b"a" * 100_000, b"b"):
            seen.append(storage.exists("big"))
            yield chunk
        seen.append(storage.exists("big"))

    storage.write("big", watching())

    assert seen == [False, False, False]
    assert storage.size("big") == 100_001


@pytest.fixture
def with_one_object(storage: Storage) -> Storage:
    """Return a storage that holds ``runs/1/a``."""
    storage.write("runs/1/a", [b"x"])
    return storage


@pytest.mark.parametrize("key", ["runs/1", "runs/1/a/deeper"])
def test_neither_a_prefix_of_a_key_nor_what_would_lie_beneath_it_is_an_object(
    with_one_object: Storage, key: str
) -> None:
    for ask in (with_one_object.size, with_one_object.open):
        with pytest.raises(ObjectMissing):
            ask(key)

    with_one_object.delete(key)

    assert content(with_one_object, "runs/1/a") == b"x"


class ConnectionOfTheSenderLost(OSError):
    """What the chunks come from has failed, with an error of the operating system."""


def test_an_error_of_the_sender_is_not_taken_for_one_of_the_storage(storage: Storage) -> None:
    def lost() -> Iterator[bytes]:
        yield b"first half"
        raise ConnectionOfTheSenderLost

    with pytest.raises(ConnectionOfTheSenderLost):
        storage.write("a", lost())


REFUSED = [
    "",
    ".",
    "..",
    "../x",
    "a/../../x",
    "a/..",
    "a/./b",
    "/etc/passwd",
    "//x",
    "a//b",
    "a/",
    ".hidden",
    "a/.hidden",
    "-rf",
    "~root/x",
    "a\\..\\b",
    "C:/x",
    "a b",
    "a\n",
    "a\0b",
    "é",
    "%2e%2e/x",
]


@pytest.mark.parametrize("key", REFUSED, ids=repr)
def test_a_key_that_is_not_ours_is_refused_by_every_verb(storage: Storage, key: str, tmp_path: Path) -> None:
    def write(bad: str) -> int:
        return storage.write(bad, [b"x"])

    verbs: list[Callable[[str], object]] = [storage.open, storage.size, storage.exists, storage.delete, write]

    for verb in verbs:
        with pytest.raises(ValueError, match="is not a storage key"):
            verb(key)

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("key", ["a", "A_1.tar.gz", "runs/1/a+b@c=d-e.csv", "_x/9", "a..b"])
def test_a_key_of_our_letters_is_taken(storage: Storage, key: str) -> None:
    storage.write(key, [b"x"])

    assert content(storage, key) == b"x"
