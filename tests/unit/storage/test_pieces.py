"""Streams from elsewhere: joined to parts, taken up where they broke, and let go of."""

import io
from collections.abc import Iterator

import pytest

from qanat.storage.pieces import TRIES, Reading, Resumed, as_file, parts, pieces
from qanat.storage.port import StorageUnavailable

CONTENT = bytes(range(200))


class Elsewhere:
    """An object that is sent in pieces of ten bytes, over connections that break after so many of them."""

    def __init__(self, *breaks_after: int) -> None:
        self.breaks_after = list(breaks_after)
        self.asked: list[int] = []
        self.open = 0

    def fetch(self, start: int) -> Reading:
        self.asked.append(start)
        self.open += 1
        return Reading(self._send(start), self._let_go)

    def _send(self, start: int) -> Iterator[bytes]:
        left = self.breaks_after.pop(0) if self.breaks_after else 1000
        for offset in range(start, len(CONTENT), 10):
            if not left:
                raise StorageUnavailable
            left -= 1
            yield CONTENT[offset : offset + 10]

    def _let_go(self) -> None:
        self.open -= 1


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([], [b""]),
        ([b""], [b""]),
        ([b"abc"], [b"abc"]),
        ([b"abcd"], [b"abcd"]),
        ([b"a", b"bcdefghi"], [b"abcd", b"efgh", b"i"]),
        ([b"abcdefgh", b"", b""], [b"abcd", b"efgh"]),
    ],
)
def test_chunks_become_parts_of_one_size_but_for_the_last(chunks: list[bytes], expected: list[bytes]) -> None:
    assert list(parts(chunks, 4)) == expected


def test_a_stream_that_breaks_is_taken_up_where_it_broke() -> None:
    elsewhere = Elsewhere(3, 2)

    received = b"".join(Resumed(elsewhere.fetch, start=5))

    assert received == CONTENT[5:]
    assert elsewhere.asked == [5, 35, 55]


def test_a_stream_that_breaks_without_progress_is_given_up() -> None:
    elsewhere = Elsewhere(1, *[0] * TRIES)

    stream = Resumed(elsewhere.fetch, start=0)

    assert next(stream) == CONTENT[:10]
    with pytest.raises(StorageUnavailable):
        next(stream)
    assert elsewhere.asked == [0, *[10] * (TRIES - 1)]


def test_every_connection_is_let_go_of() -> None:
    elsewhere = Elsewhere(3)

    stream = Resumed(elsewhere.fetch, start=0)
    for _ in range(5):
        next(stream)
    stream.close()

    assert elsewhere.open <= 0


def test_a_file_that_nobody_reads_is_closed() -> None:
    stream = io.BytesIO(CONTENT)

    pieces(stream).close()

    assert stream.closed


def test_seeking_costs_a_connection_only_where_reading_goes_on_elsewhere() -> None:
    elsewhere = Elsewhere()

    with as_file(elsewhere.fetch, size=len(CONTENT)) as stream:
        stream.seek(0, io.SEEK_END)
        stream.seek(0)
        beginning = stream.read(20)
        stream.seek(150)
        middle = stream.read(20)

    assert (beginning, middle) == (CONTENT[:20], CONTENT[150:170])
    assert len(elsewhere.asked) <= 3


def test_a_file_elsewhere_ends_where_it_ends() -> None:
    with as_file(Elsewhere().fetch, size=len(CONTENT)) as stream:
        assert stream.read() == CONTENT
        assert stream.read() == b""
        with pytest.raises(ValueError, match="negative"):
            stream.seek(-1)
