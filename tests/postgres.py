"""A real PostgreSQL server for tests: from the binaries of this machine, on a socket of its own, and stopped."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services import PostgreSQL, free_ports

binaries = PostgreSQL.programme


@contextmanager
def server(*, durable: bool = False, statistics: bool = False, address: str = "", subnet: str = "") -> Iterator[str]:
    """Run a server and yield the URL of an empty database on it; it keeps nothing.

    Where ``durable``, it writes as a real one does: a commit waits for the disk. With ``statistics`` it can count
    statements (``pg_stat_statements``). With an address it listens there, for whoever comes from the subnet, on a port
    of its own; else on a socket.
    """
    root = Path(tempfile.mkdtemp(prefix="qanat-pg-"))
    options = f"-c fsync={'on' if durable else 'off'} -c max_connections=60"
    if statistics:
        options += " -c shared_preload_libraries=pg_stat_statements"
    service = PostgreSQL(
        folder=root,
        host=address,
        port=free_ports(1, host=address)[0] if address else None,
        guests=subnet,
        options=options,
    )
    try:
        service.start()
        yield service.url
    finally:
        service.stop(mode="immediate")
        shutil.rmtree(root, ignore_errors=True)
