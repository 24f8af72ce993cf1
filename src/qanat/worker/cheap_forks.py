"""Makes a process cheap to fork: what its forks share is shared, and there is little to note of it for each of them.

**Huge pages.** A fork copies some hundred entries of a page table, not tens of thousands. To copy those, and to drop
them when the fork ends, is a good half of what a fork of a large process costs. A fork that writes to a huge page still
gets a copy of 4 KiB only.

**Code in one piece.** Of each function that numba has compiled, machine code and constants lie side by side, the one
executable and the other not: hundreds of mappings, each of which the system copies for a fork and drops at its end.
With the constants executable as well they are a few. Nothing becomes writable that was not.
"""

import contextlib
import ctypes
import gc
import mmap
import re
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HUGE_BYTES: Final = 2 * 2**20
"""On the processors that Linux runs most on; elsewhere the system refuses, and nothing is gained or lost."""
MADV_COLLAPSE: Final = 25
"""Linux 6.1 and later (madvise(2)); earlier ones refuse."""
MAPPED: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) [0-9a-f]+ 00:00 0\s*(?:\[heap\])?$")
"""A line of /proc/PID/maps: this process' own memory, rather than a file's."""
DATA: Final = "rw-p"
CODE: Final = "r-xp"
CONSTANTS: Final = "r--p"


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """A piece of memory that the system keeps one note of."""

    begin: int
    end: int
    allowed: str
    """As /proc/PID/maps has it: read, write, execute, and private."""


def prepare(*, lasting: bool) -> None:
    """Have forks of this process share as much as can be of its memory, and copy as little as can be of it.

    Args:
        lasting: it forks for long, so that this may take a moment.
    """
    gc.collect()
    gc.freeze()  # The collector would touch, and so copy, all that the forks share.
    # So would what is to be done at this process' end; it ends without, and at a fork's end only its own is to be done.
    weakref.finalize._registry.clear()  # type: ignore[attr-defined] # noqa: SLF001 - there is no other way
    try:
        library = ctypes.CDLL(None)
        library.malloc_trim(0)  # What imports and compiled functions left free need not be copied.
    except (AttributeError, OSError):  # another C library than glibc
        return
    if lasting:
        with contextlib.suppress(OSError):  # no Linux
            mappings = _own()
            _collapse(library, mappings)
            _join_code(library, mappings)


def _own() -> list[Mapping]:
    """Return this process' own mappings, in the order of their addresses."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [
        Mapping(begin=int(found[1], 16), end=int(found[2], 16), allowed=found[3])
        for found in filter(None, map(MAPPED.match, lines))
    ]


def _collapse(library: ctypes.CDLL, mappings: Sequence[Mapping]) -> None:
    """Move data into huge pages as far as the system allows."""
    advise = library.madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for mapped in mappings:
        if mapped.allowed == DATA:
            for address in range(-(-mapped.begin // HUGE_BYTES) * HUGE_BYTES, mapped.end - HUGE_BYTES + 1, HUGE_BYTES):
                advise(address, HUGE_BYTES, MADV_COLLAPSE)


def _join_code(library: ctypes.CDLL, mappings: Sequence[Mapping]) -> None:
    """Make constants between compiled functions executable, so that the system joins them into one mapping."""
    protect = library.mprotect
    protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for begin, end in _runs_of_code(mappings):
        protect(begin, end - begin, mmap.PROT_READ | mmap.PROT_EXEC)


def _runs_of_code(mappings: Sequence[Mapping]) -> Iterator[tuple[int, int]]:
    """Return where code lies with constants beside it: begin and end of each run without a gap."""
    run: list[Mapping] = []
    for mapped in (*mappings, Mapping(begin=-1, end=-1, allowed="")):
        if run and (mapped.begin != run[-1].end or mapped.allowed not in {CODE, CONSTANTS}):
            if len(run) > 1 and any(one.allowed == CODE for one in run):
                yield run[0].begin, run[-1].end
            run = []
        if mapped.allowed in {CODE, CONSTANTS}:
            run.append(mapped)
