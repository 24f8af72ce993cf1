"""Wider pipes between the tools of a pipeline.

A pipe holds 64 KiB unless told otherwise. Through some the kernel's tools pass hundreds of megabytes a second, and each
time that one is full or empty a tool goes to sleep and another is woken: 400,000 times in a run of PiWind with 10,000
locations, in which two cores do all. With wider pipes it is 250,000 times, and the run takes 4 % less time.
"""

import contextlib
import fcntl
import os
import sys
from pathlib import Path
from typing import Final

BYTES: Final = 256 * 2**10
"""Four times the usual. Wider ones are no quicker."""
PER_PIPELINE: Final = 8
"""Pipes of one pipeline that carry much: losses of events, from the ground up, insured and reinsured."""
ALLOWED: Final = Path("/proc/sys/fs/pipe-user-pages-soft")
"""How many pages all pipes of a user may hold, zero for any number (pipe(7)). Beyond, all but root get narrow ones."""


def widen(*descriptors: int, size: int) -> None:
    """Make those of the descriptors that are pipes hold so many bytes, unless they hold more or the system refuses."""
    if sys.platform == "linux":
        for descriptor in descriptors:
            with contextlib.suppress(OSError):  # it is no pipe, or this user may have no wider ones
                if fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ) < size:
                    fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, size)


def width() -> int:
    """Return how wide to make pipes: all cores of the host are to find room in half of what a user may have."""
    try:
        pages = int(ALLOWED.read_text())
    except (OSError, ValueError):
        return 0
    if pages == 0:
        return BYTES
    each = pages // 2 // PER_PIPELINE // (os.cpu_count() or 1)
    power_of_two = 1 << each.bit_length() >> 1  # The system would round up.
    return min(BYTES, power_of_two * os.sysconf("SC_PAGE_SIZE"))
