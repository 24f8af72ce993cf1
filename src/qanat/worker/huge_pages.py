"""Memory in huge pages: a fork of this process copies some hundred entries of a page table, not tens of thousands.

To copy those, and to drop them when the fork ends, is a good half of what a fork of a large process costs. A fork that
writes to a huge page still gets a copy of 4 KiB only.
"""

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

HUGE_BYTES: Final = 2 * 2**20
"""On the processors that Linux runs most on; elsewhere the system refuses, and nothing is gained or lost."""
MADV_COLLAPSE: Final = 25
"""Linux 6.1 and later (madvise(2)); earlier ones refuse."""
MAPPED: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw-p [0-9a-f]+ 00:00 0\s*(\[heap\])?$")
"""A line of /proc/PID/maps: this process' own memory, rather than a file's."""


def collapse() -> None:
    """Move this process' memory into huge pages as far as the system allows; for one that writes little from now on."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
        advise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):  # no Linux
        return
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for address in _places(lines):
        advise(address, HUGE_BYTES, MADV_COLLAPSE)


def _places(lines: list[str]) -> Iterator[int]:
    for mapped in filter(None, map(MAPPED.match, lines)):
        begin, end = int(mapped[1], 16), int(mapped[2], 16)
        yield from range(-(-begin // HUGE_BYTES) * HUGE_BYTES, end - HUGE_BYTES + 1, HUGE_BYTES)
