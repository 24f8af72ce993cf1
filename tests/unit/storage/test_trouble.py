"""What happens when a writer is killed, and when the store does not want us or is not there."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from qanat.storage.azure import AzureStorage
from qanat.storage.local import LocalStorage
from qanat.storage.port import Storage, StorageUnavailable
from qanat.storage.s3 import S3Storage
from tests import object_stores
from tests.object_stores import REMOTE
from tests.unit.storage.cutting import Cut, cutting, once, within_the_body, within_the_head

WRITER = """
import sys
from pathlib import Path
from qanat.storage.azure import AzureOptions, AzureStorage
from qanat.storage.local import LocalStorage
from qanat.storage.s3 import S3Options, S3Storage

def chunks():
    for _ in range(40):
        yield bytes(2**20)
    print("half", flush=True)
    sys.stdin.read()

({made}).write("runs/1/large", chunks())
"""


@pytest.fixture
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Storage, str]:
    """A storage, and the expression that makes it in another process."""
    kind = request.param
    if kind == "local":
        return LocalStorage(tmp_path), f"LocalStorage(Path({str(tmp_path)!r}))"
    storage: Any = object_stores.fresh(request.getfixturevalue(f"{kind}_server"))
    name = type(storage).__name__.removesuffix("Storage")
    return storage, f"{name}Storage({name}Options(**{asdict(storage._options)!r}))"


@pytest.mark.parametrize("made", ["local", *REMOTE], indirect=True)
def test_a_writer_that_is_killed_leaves_nothing_that_is_seen_and_nothing_for_long(made: tuple[Storage, str]) -> None:
    storage, expression = made
    command = [sys.executable, "-c", WRITER.format(made=expression)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"half\n"
        writer.kill()

    assert not storage.exists("runs/1/large")
    assert list(storage.keys("runs")) == []
    storage.discard_unfinished(before=datetime.now(UTC) - timedelta(hours=1))
    assert unfinished(storage) == (0 if isinstance(storage, AzureStorage) else 1)
    storage.discard_unfinished(before=datetime.now(UTC) + timedelta(hours=1))
    assert unfinished(storage) == 0


def unfinished(storage: Storage) -> int:
    """Return how many uploads are neither finished nor gone; Azure does not tell."""
    if isinstance(storage, LocalStorage):
        return sum(path.is_file() for path in storage.root.rglob("*"))
    if isinstance(storage, S3Storage):
        uploads = storage._client.list_multipart_uploads(Bucket=storage._bucket, Prefix=storage._name(""))
        return len(uploads.get("Uploads", []))
    return 0


@pytest.mark.parametrize("kind", REMOTE)
def test_no_part_of_a_large_upload_is_left_when_its_sender_fails(request: pytest.FixtureRequest, kind: str) -> None:
    storage = object_stores.fresh(request.getfixturevalue(f"{kind}_server"))

    def breaking_off() -> Any:  # noqa: ANN401 - a generator
        yield bytes(40 * 2**20)
        raise EOFError

    with pytest.raises(EOFError):
        storage.write("large", breaking_off())

    assert unfinished(storage) == 0


VERBS: dict[str, Callable[[Storage], object]] = {
    "write": lambda storage: storage.write("a", [b"x"]),
    "write much": lambda storage: storage.write("a", [bytes(20 * 2**20)]),
    "open": lambda storage: storage.open("a"),
    "read": lambda storage: storage.read("a"),
    "size": lambda storage: storage.size("a"),
    "keys": lambda storage: list(storage.keys("a")),
    "delete": lambda storage: storage.delete("a"),
    "copy": lambda storage: storage.copy("a", "b"),
}


def other(storage: Any, **options: str) -> Any:  # noqa: ANN401 - of either kind
    """Return a storage with other options."""
    return type(storage)(replace(storage._options, **options))


@pytest.mark.parametrize("kind", REMOTE)
@pytest.mark.parametrize("verb", VERBS)
def test_a_store_that_does_not_know_our_key_is_unavailable(
    request: pytest.FixtureRequest, kind: str, verb: str
) -> None:
    storage: Any = object_stores.fresh(request.getfixturevalue(f"{kind}_server"))
    wrong = {"s3": {"secret_access_key": "wrong"}, "azure": {"account_key": "d3Jvbmc="}}[kind]

    with pytest.raises(StorageUnavailable, match=f"'{object_stores.NAME}' refuses") as caught:
        VERBS[verb](other(storage, **wrong))

    assert not {*wrong.values()} & {*str(caught.value).split()}


@pytest.mark.parametrize("kind", REMOTE)
def test_a_store_that_is_not_there_is_unavailable(request: pytest.FixtureRequest, kind: str) -> None:
    storage: Any = object_stores.fresh(request.getfixturevalue(f"{kind}_server"))

    with pytest.raises(StorageUnavailable, match="does not answer"):
        other(storage, endpoint_url="http://127.0.0.1:9/account").size("a")


READS: dict[str, Callable[[Storage], object]] = {
    "size": lambda storage: storage.size("a"),
    "exists": lambda storage: storage.exists("a"),
    "open": lambda storage: storage.open("a"),
    "read": lambda storage: b"".join(storage.read("a")),
    "read a part": lambda storage: b"".join(storage.read("a", start=1, length=3)),
}


@pytest.mark.parametrize("kind", REMOTE)
@pytest.mark.parametrize("verb", READS)
def test_an_answer_that_ends_within_its_head_is_none(request: pytest.FixtureRequest, kind: str, verb: str) -> None:
    storage: Any = object_stores.fresh(request.getfixturevalue(f"{kind}_server"))
    storage.write("a", [b"content"])

    with (
        cutting(storage._options.endpoint_url, within_the_head) as endpoint,
        pytest.raises(StorageUnavailable, match="does not answer"),
    ):
        READS[verb](other(storage, endpoint_url=endpoint))


@pytest.mark.parametrize("kind", REMOTE)
@pytest.mark.parametrize(
    ("cut", "after"),
    [(within_the_body, 0), (within_the_body, 1), (within_the_head, 1)],
    ids=["in the first body", "in the second body", "in the second head"],
)
def test_reading_goes_on_where_an_answer_was_cut_off(
    request: pytest.FixtureRequest, kind: str, cut: Cut, after: int
) -> None:
    storage: Any = object_stores.fresh(request.getfixturevalue(f"{kind}_server"))
    written = b"".join(number.to_bytes(4, "big") for number in range(2**20))
    storage.write("a", [written])

    with cutting(storage._options.endpoint_url, once(cut, after=after)) as endpoint:
        read = b"".join(other(storage, endpoint_url=endpoint).read("a"))

    assert read == written
