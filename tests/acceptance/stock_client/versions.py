"""Which versions of the stock client there are, and where their interpreters are."""

import fcntl
import hashlib
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ROOT

PINNED: Final = version("oasislmf")
"""It comes with the kernel, in the environment of the tests."""
OLDER: Final = "2.4.5"
"""It has an environment of its own."""
STAMP: Final = "qanat-stamp"
HASH_TROUBLE: Final = "hash mismatch"


def older_python() -> Path:
    """Return the interpreter of the older version, whose environment is made where it is not there yet.

    It lies within the environment of the tests and goes with it. The test that asks is skipped where the packages
    cannot be had: there is no network, or no build for this machine. Packages that are not those pinned are an error.
    """
    pins = ROOT / "requirements" / f"client-{OLDER}.txt"
    folder = Path(sys.prefix) / "stock-clients" / OLDER
    python, stamp = folder / "bin" / "python", folder / STAMP
    key = hashlib.sha256(sys.version.encode() + pins.read_bytes()).hexdigest()
    with pins.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Tests that run at the same time make it once.
        if not (python.exists() and stamp.is_file() and stamp.read_text() == key):
            _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
            _uv("pip", "sync", "--quiet", "--no-build", "--require-hashes", "--python", str(python), str(pins))
            stamp.write_text(key)
    return python


def _uv(*arguments: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip(f"the client of oasislmf {OLDER} needs uv, which `make test` brings")
    environment = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    done = subprocess.run([str(uv), *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"the client of oasislmf {OLDER} cannot be installed here: {' '.join(done.stderr.split())}"
        assert HASH_TROUBLE not in done.stderr.lower(), message
        pytest.skip(message)
