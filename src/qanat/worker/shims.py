"""What stands on a step's PATH for the kernel's tools: ``shim.c`` where it can be compiled, else ``shim.py``.

Both do the same; a run needs some fifty, and the one costs half a second of a core less than the other.
"""

import hashlib
import logging
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil

logger = logging.getLogger(__name__)

IN_PYTHON: Final = Path(__file__).with_name("shim.py")
IN_C: Final = Path(__file__).with_name("shim.c")
COMPILERS: Final = ("cc", "gcc", "clang")
OPTIONS: Final = (["-O2", "-static"], ["-O2"])
"""A static programme starts sooner; not every host has what that takes."""
COMPILE_SECONDS: Final = 60.0
IN_FOLDER: Final = "shim-"
"""How the name of the compiled one begins."""
VARIABLE: Final = "KERNEL_TOOLS"
"""Names the folder in which each tool's server listens under the tool's name."""


def compiled(folder: Path) -> Path | None:
    """Return the compiled shim in a folder, made if it is not there yet; None where that cannot be."""
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    target = folder / f"{IN_FOLDER}{hashlib.sha256(IN_C.read_bytes()).hexdigest()[:12]}"
    if compiler is None or target.exists():
        return target if target.exists() else None
    made = folder / f".{target.name}-{os.getpid()}"
    for options in OPTIONS:
        command = [compiler, *options, "-o", str(made), str(IN_C)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=COMPILE_SECONDS)  # noqa: S603 - our own
            made.replace(target)
        except (OSError, subprocess.SubprocessError) as error:
            logger.debug("%s does not work here: %s", shlex.join(command), error)
        else:
            return target
    return None


def lay_out(folder: Path, sockets: Mapping[str, Path], *, shim: Path | None) -> None:
    """Make a folder for PATH with a shim for each tool, and have this process' children find the tools' servers.

    Args:
        folder: made here.
        sockets: where the server of each tool listens.
        shim: the compiled one, if there is one.
    """
    folder.mkdir()
    listening = folder.with_name(f"{folder.name}-served")
    listening.mkdir()
    for name, socket in sockets.items():
        (listening / name).symlink_to(socket)
        if shim is not None:
            (folder / name).symlink_to(shim)
        else:
            script(folder / name, shlex.join([sys.executable, "-I", "-S", str(IN_PYTHON), name]))
    os.environ[VARIABLE] = str(listening)
    os.environ["PATH"] = os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)])


def is_one(process: psutil.Process) -> bool:
    """Say whether a process is a shim.

    Raises:
        psutil.Error: it has ended, or is not for us to see.
    """
    return Path(process.exe()).name.startswith(IN_FOLDER) or str(IN_PYTHON) in process.cmdline()


def script(path: Path, command: str, *, after: str = "") -> None:
    """Write a shell script that becomes a command with the script's arguments."""
    path.write_text(f'#!/bin/sh\nexec {command} "$@"{after}\n')
    path.chmod(0o700)
