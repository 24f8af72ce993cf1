"""Where numba keeps the kernel's compiled functions, whether they are there, and making them behind everything else."""

import hashlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

COMMAND: Final = (sys.executable, "-m", "qanat.worker.warm")
DECIDES: Final = ("oasislmf", "numba", "llvmlite", "numpy")
"""Distributions whose versions compiled code depends on."""


def cache_dir(work_dir: Path) -> Path | None:
    """Return the folder that numba is to keep what it compiles in; None: beside the kernel, where it can be written."""
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(named)
    return None if os.access(_kernel(), os.W_OK) else work_dir / "numba-cache"


def mark(work_dir: Path) -> Path:
    """Return the file that says that `qanat worker warm` has been, in a folder that goes with numba's cache."""
    versions = [metadata.version(name) for name in DECIDES]
    processor = os.environ.get("NUMBA_CPU_NAME") or _processor()
    identity = json.dumps([versions, sys.version, processor, os.environ.get("NUMBA_CPU_FEATURES")])
    folder = cache_dir(work_dir) or _kernel() / "__pycache__"
    return folder / f"qanat-warm-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


class InBackground:
    """`qanat worker warm`, at work only where nobody else is; ``close`` ends it."""

    def __init__(self, work_dir: Path) -> None:
        """Start it, if it has not been done."""
        self._process: subprocess.Popen[bytes] | None = None
        if mark(work_dir).exists():
            return
        alive, self._held = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own
                [*COMMAND, "--once", "--work-dir", str(work_dir), "--parent-fd", str(alive)],
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


def _kernel() -> Path:
    """Return the kernel's folder; where there is no kernel, one that cannot be written."""
    kernel = importlib.util.find_spec("oasislmf")
    return Path(str(kernel.origin)).parent if kernel is not None else Path(os.devnull)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
