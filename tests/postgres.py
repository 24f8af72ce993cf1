"""A real PostgreSQL server for tests: from the binaries of this machine, on a socket of its own, and stopped."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services import PostgreSQL

binaries = PostgreSQL.programme


@contextmanager
def server(*, durable: bool = False) -> Iterator[str]:
    """Run a server and yield the URL of an empty database on it; it keeps nothing.

    Where ``durable``, it writes as a real one does: a commit waits for the disk.
    """
    root = Path(tempfile.mkdtemp(prefix="qanat-pg-"))
    fsync = "on" if durable else "off"
    service = PostgreSQL(folder=root, options=f"-c fsync={fsync} -c max_connections=60")
    try:
        service.start()
        yield service.url
    finally:
        service.stop(mode="immediate")
        shutil.rmtree(root, ignore_errors=True)
