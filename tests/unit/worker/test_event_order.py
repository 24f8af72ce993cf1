"""What exceedance curves are made from comes in the order of events, however many processes have written it."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from oasislmf.pytools.common.data import summary_stream_index_dtype

from qanat.worker.kernel import event_order

Block = tuple[int, int, Sequence[tuple[int, float]]]
"""Event, summary, and the losses of samples."""
SUMMARIES = 3
"""Type of a stream, in its last byte."""
SAMPLES, SUMMARY_SET = 10, 1
ONE: Block = (1, 1, [(-1, 0.5), (1, 2.0)])
TWO: Block = (2, 1, [(1, 3.0)])
TWO_AGAIN: Block = (2, 2, [(1, 1.5), (2, 0.0), (5, 2.5)])
THREE: Block = (3, 2, [(-3, 7.0)])
FOUR: Block = (4, 1, [])


def stream(*blocks: Block, kind: int = SUMMARIES) -> bytes:
    """Return what a process writes."""
    words = [np.array([kind << 24 | 1, SAMPLES, SUMMARY_SET], np.int32)]
    for event, summary, losses in blocks:
        words += [np.array([event, summary], np.int32), np.array([100.0], np.float32).view(np.int32)]
        for sample, loss in (*losses, (0, 0.0)):
            words += [np.array([sample], np.int32), np.array([loss], np.float32).view(np.int32)]
    return b"".join(word.tobytes() for word in words)


def index(*blocks: Block) -> bytes:
    """Return what it writes beside, if asked to."""
    ends = [len(stream(*blocks[:number])) for number in range(len(blocks))]
    rows = [(summary, offset) for (_, summary, _), offset in zip(blocks, ends, strict=True)]
    return np.array(rows, summary_stream_index_dtype).tobytes()


def settled(work: Path, *files: bytes, folder: str = "gul_S1_summaryleccalc", indices: Sequence[bytes] = ()) -> Path:
    """Return the folder into which processes have written, with its files in order."""
    target = work / folder
    target.mkdir(parents=True)
    for suffix, contents in ((".bin", files), (".idx", indices)):
        for number, content in enumerate(contents, start=1):
            (target / f"P{number}").with_suffix(suffix).write_bytes(content)
    event_order.settle(work)
    return target


def files_of(folder: Path) -> dict[str, bytes]:
    """Return what lies in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "shares",
    [
        [(ONE, THREE), (TWO, TWO_AGAIN, FOUR)],
        [(ONE, FOUR), (TWO, TWO_AGAIN), (THREE,)],
        [(FOUR,), (), (THREE, ONE), (TWO, TWO_AGAIN)],
        [(THREE, FOUR, ONE, TWO, TWO_AGAIN)],
    ],
    ids=["two", "three", "one without events", "one that shuffles"],
)
@pytest.mark.parametrize("folder", ["gul_S1_summaryleccalc", "full_correlation/ri_2_S1_summaryleccalc"])
def test_the_events_of_all_processes_come_in_the_order_of_their_numbers(
    tmp_path: Path, shares: Sequence[Sequence[Block]], folder: str
) -> None:
    found = settled(tmp_path, *(stream(*share) for share in shares), folder=folder)

    assert files_of(found) == {"P1.bin": stream(ONE, TWO, TWO_AGAIN, THREE, FOUR)}


def test_an_index_says_where_blocks_are_now(tmp_path: Path) -> None:
    shares = [(ONE, THREE), (TWO, TWO_AGAIN, FOUR)]

    found = settled(tmp_path, *(stream(*share) for share in shares), indices=[index(*share) for share in shares])

    merged = (ONE, TWO, TWO_AGAIN, THREE, FOUR)
    assert files_of(found) == {"P1.bin": stream(*merged), "P1.idx": index(*merged)}


def test_a_disk_that_is_full_is_an_error_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", no_room, raising=False)

    with pytest.raises(OSError, match="No space left"):
        settled(tmp_path, stream(TWO), stream(ONE))

    found = files_of(tmp_path / "gul_S1_summaryleccalc")
    assert (found["P1.bin"], found["P2.bin"]) == (stream(TWO), stream(ONE))


@pytest.mark.parametrize(
    ("contents", "folder"),
    [
        ([stream(ONE, TWO), stream(THREE)], "gul_S1_summaryleccalc"),
        ([stream(), stream()], "gul_S1_summaryleccalc"),
        ([stream(TWO), b"", stream(ONE)], "gul_S1_summaryleccalc"),
        ([stream(TWO), stream(ONE, kind=2)], "gul_S1_summaryleccalc"),
        ([stream(TWO), stream(ONE)[:-4]], "gul_S1_summaryleccalc"),
        ([stream(TWO), stream(ONE)[:-8]], "gul_S1_summaryleccalc"),
        ([stream(TWO), stream(ONE)[:-20]], "gul_S1_summaryleccalc"),
        ([stream(TWO), stream(ONE)], "gul_S1_summary_palt"),
    ],
    ids=[
        "in order",
        "no events",
        "an empty file",
        "another kind of stream",
        "without the last word",
        "without the last pair",
        "without pairs",
        "for another report",
    ],
)
def test_all_else_stays_as_it_is(tmp_path: Path, contents: Sequence[bytes], folder: str) -> None:
    found = settled(tmp_path, *contents, folder=folder)

    assert files_of(found) == {f"P{number}.bin": content for number, content in enumerate(contents, start=1)}
