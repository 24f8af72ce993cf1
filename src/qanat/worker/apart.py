"""The hint that lets a file system keep attempts' directories apart.

ext4 puts what is made in a directory near it, and its directories too. Each attempt makes and removes hundreds of
files, so of a worker that does one run after another all new files are looked for among those that have just gone. A
directory that is marked as the top of a hierarchy has what is in it spread over the disk, as ``/home`` should be
(chattr(1), attribute T): attempts have nothing in common, so nothing is lost (docs/decisions/0031-attempts-apart.md).
"""

import contextlib
import fcntl
import os
import struct
import sys
from pathlib import Path
from typing import Final

LONG: Final = struct.calcsize("l")
FLAGS: Final = struct.Struct(f"i{LONG - 4}x")
"""A long by its name, of which the system reads and writes an int."""
GET_FLAGS: Final = 0x80006601 | LONG << 16
SET_FLAGS: Final = 0x40006602 | LONG << 16
TOP_OF_A_HIERARCHY: Final = 0x00020000
"""``FS_IOC_GETFLAGS``, ``FS_IOC_SETFLAGS`` and ``FS_TOPDIR_FL`` of ``linux/fs.h``; see ioctl_iflags(2)."""


def keep_apart(directory: Path) -> None:
    """Have directories that are made in this one lie apart from each other, where the file system knows how to."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError):  # it is another file system's, or somebody else's
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            (flags,) = FLAGS.unpack(fcntl.ioctl(descriptor, GET_FLAGS, FLAGS.pack(0)))
            fcntl.ioctl(descriptor, SET_FLAGS, FLAGS.pack(flags | TOP_OF_A_HIERARCHY))
        finally:
            os.close(descriptor)
