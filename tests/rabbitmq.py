"""A real RabbitMQ for tests: from the programmes of this machine, on a port of its own, and killed."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services import HOST, RabbitMQ, free_ports

programme = RabbitMQ.programme


@contextmanager
def server(*, address: str = HOST) -> Iterator[str]:
    """Run a broker and yield its URL; it keeps nothing."""
    root = Path(tempfile.mkdtemp(prefix="qanat-rabbit-"))
    port, distribution = free_ports(2, host=address)
    service = RabbitMQ(folder=root, host=address, port=port, distribution_port=distribution)
    try:
        service.start()
        yield service.url
    finally:
        service.kill()
        shutil.rmtree(root, ignore_errors=True)
