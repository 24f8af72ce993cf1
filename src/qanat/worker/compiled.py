"""Whether the kernel has been compiled for this kind of processor, and having that done behind everything else."""

import hashlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Final

COMMAND: Final = (sys.executable, "-m", "qanat.worker.warm")
DECIDES: Final = ("oasislmf", "numba", "llvmlite", "numpy")
"""Distributions whose versions compiled code depends on."""


def mark() -> Path:
    """Return the file that says that `qanat worker warm` has been, in a folder that goes with numba's cache."""
    versions = [metadata.version(name) for name in DECIDES]
    processor = os.environ.get("NUMBA_CPU_NAME") or _processor()
    identity = json.dumps([versions, sys.version, processor, os.environ.get("NUMBA_CPU_FEATURES")])
    kernel = importlib.util.find_spec("oasislmf")
    beside = Path(str(kernel.origin)).parent / "__pycache__" if kernel is not None else Path(tempfile.gettempdir())
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or beside)
    return folder / f"qanat-warm-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


class InBackground:
    """`qanat worker warm`, at work only where nobody else is; ``close`` ends it."""

    def __init__(self) -> None:
        """Start it, if it has not been done."""
        self._process: subprocess.Popen[bytes] | None = None
        if mark().exists():
            return
        alive, self._held = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own
                [*COMMAND, "--once", "--parent-fd", str(alive)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(alive,),
                start_new_session=True,
            )
        finally:
            os.close(alive)

    def close(self) -> None:
        """End it, if it is not done; what it has compiled is kept."""
        if self._process is not None:
            os.close(self._held)
            self._process.wait()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
