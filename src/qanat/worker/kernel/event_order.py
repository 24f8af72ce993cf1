"""The order of events in which losses are added up, on which the last digit of some of them depends.

The kernel shares the events out among processes. For exceedance curves it adds the losses of a period up in single
precision, in the order in which it reads them: the events of one process after those of another. So the same analysis
would get curves that differ in their last digit with another number of chunks or cores. It adds them up in the order of
the events' numbers where one process has had them all, and that is the order in which it finds them here.

The files are summary streams as ``summarypy`` (``oasislmf`` 2.5) writes them: three words of heading, then for each
event and summary a block of event, summary, exposure, and pairs of sample and loss, of which the last has sample 0.
Words have four bytes. Beside each may lie an index of the blocks (``.idx``).
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
from numpy.typing import NDArray
from oasislmf.pytools.common.data import oasis_float, oasis_int, summary_stream_index_dtype
from oasislmf.pytools.common.event_stream import ITEM_STREAM, SUMMARY_STREAM_ID, stream_info_to_bytes

FOLDERS: Final = "*_summaryleccalc"
"""Names of the folders that ``lecpy`` reads, at any depth."""
HEADING: Final = 3
BLOCK_HEADING: Final = 3
WORD: Final = 4
STREAM: Final = int.from_bytes(stream_info_to_bytes(SUMMARY_STREAM_ID, ITEM_STREAM), "little")
Words = NDArray[np.int32]


def settle(work: Path) -> None:
    """Put what exceedance curves are made from in the order of events.

    Args:
        work: folder of what the kernel's processes have written; changed in place.

    Raises:
        OSError: there is no room for it.
    """
    if oasis_int != np.int32 or oasis_float != np.float32:
        return
    for folder in sorted(work.rglob(FOLDERS)):
        files = sorted(folder.glob("*.bin"))
        if files and all(path.stat().st_size >= HEADING * WORD for path in files):
            streams = [np.memmap(path, np.int32, "r") for path in files]
            if all(stream[0] == STREAM for stream in streams):
                _settle(files, streams)


def _settle(files: Sequence[Path], streams: Sequence[Words]) -> None:
    begins = [_begins(stream) for stream in streams]
    if any(begin[-1] > len(stream) for begin, stream in zip(begins, streams, strict=True)):
        return  # It breaks off: the kernel is to say what it makes of that.
    events = np.concatenate([stream[begin[:-1]] for stream, begin in zip(streams, begins, strict=True)])
    if (events[:-1] <= events[1:]).all():
        return
    order = np.argsort(events, kind="stable")
    sizes = np.concatenate([np.diff(begin) for begin in begins])
    places = np.empty_like(sizes)
    places[order] = HEADING + np.cumsum(sizes[order]) - sizes[order]
    new = files[0].with_suffix(".new")
    merged = _mapped(new, words=HEADING + int(sizes.sum()))
    merged[:HEADING] = streams[0][:HEADING]
    done = 0
    for stream, begin in zip(streams, begins, strict=True):
        count = len(begin) - 1
        _copy(stream, begin, places[done : done + count], merged)
        done += count
    indices = [path.with_suffix(".idx") for path in files]
    indexed = all(path.exists() for path in indices)
    for path in (*files, *indices):
        path.unlink(missing_ok=True)
    if indexed:
        index = np.empty(len(places), summary_stream_index_dtype)
        index["offset"] = places[order]
        index["summary_id"] = merged[index["offset"] + 1]
        index["offset"] *= WORD
        index.tofile(indices[0])
    new.rename(files[0])


def _mapped(path: Path, *, words: int) -> Words:
    """Make a file and map it; that the disk is full is an error here, and would later be the end of the process."""
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, words * WORD)
        else:
            file.truncate(words * WORD)
    return np.memmap(path, np.int32, "r+")


@numba.njit(cache=True)  # type: ignore[untyped-decorator] # numba has no types
def _begins(stream: Words) -> Any:  # noqa: ANN401 - as above
    """Return where each block begins, and where the last ends or would end, in words."""
    count = 0
    for _ in range(2):
        begins = np.empty(count + 1, np.int64)
        at, number = HEADING, 0
        while at < len(stream):
            if count:
                begins[number] = at
            number += 1
            at += BLOCK_HEADING
            while at < len(stream) and stream[at] != 0:
                at += 2
            at += 2
        begins[-1] = at
        count = number
    return begins


@numba.njit(cache=True)  # type: ignore[untyped-decorator] # as above
def _copy(stream: Words, begins: Any, places: Any, target: Words) -> None:  # noqa: ANN401 - as above
    """Copy each block to its place."""
    for number in range(len(places)):
        begin, size = begins[number], begins[number + 1] - begins[number]
        target[places[number] : places[number] + size] = stream[begin : begin + size]
