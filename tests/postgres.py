"""A real PostgreSQL server for tests: from the binaries of this machine, on a socket of its own, and stopped."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qanat.cli.up.platform import free_port

SYSTEM_USER = "nobody"
"""PostgreSQL refuses to run as root; a test that does runs it as this user."""


def binaries() -> Path | None:
    """Return the folder with ``initdb`` and ``postgres``, or None where there is none."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if found := shutil.which("postgres"):
        candidates.append(Path(found).resolve().parent)
    return next((folder for folder in candidates if (folder / "initdb").exists()), None)


@contextmanager
def server(*, durable: bool = False, statistics: bool = False, address: str = "", subnet: str = "") -> Iterator[str]:
    """Run a server and yield the URL of an empty database on it; it keeps nothing.

    Where ``durable``, it writes as a real one does: a commit waits for the disk. With ``statistics`` it can count
    statements (``pg_stat_statements``). With an address it listens there, for whoever comes from the subnet, on a port
    of its own; else on a socket.
    """
    folder = binaries()
    assert folder is not None
    root = Path(tempfile.mkdtemp(prefix="qanat-pg-"))
    prefix: list[str] = []
    if os.getuid() == 0:
        shutil.chown(root, SYSTEM_USER)
        prefix = ["setpriv", f"--reuid={SYSTEM_USER}", "--regid=nogroup", "--clear-groups"]
    data = root / "data"
    try:
        _run([*prefix, str(folder / "initdb"), "-D", str(data), "-U", "qanat", "--auth=trust", "--no-sync"], cwd=root)
        fsync = "on" if durable else "off"
        options = (
            f"-c listen_addresses='{address}' -c unix_socket_directories={root} -c fsync={fsync} -c max_connections=60"
        )
        url = f"postgresql://qanat@/postgres?host={root}"
        if address:
            port = free_port(address)
            options += f" -c port={port}"
            url = f"postgresql://qanat@{address}:{port}/postgres"
            with (data / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {subnet} trust\n")
        if statistics:
            options += " -c shared_preload_libraries=pg_stat_statements"
        log = root / "log"
        start = [str(folder / "pg_ctl"), "-D", str(data), "-w", "-o", options, "-l", str(log)]
        _run([*prefix, *start, "start"], cwd=root)
        try:
            yield url
        finally:
            _run([*prefix, *start, "-m", "immediate", "stop"], cwd=root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _run(command: list[str], *, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"{' '.join(command)} failed: {done.stdout}{done.stderr}"
        raise RuntimeError(message)
