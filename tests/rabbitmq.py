"""A real RabbitMQ for tests: from the programmes of this machine, on a port of its own, and killed."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from kombu import Connection
from kombu.exceptions import OperationalError

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 90.0


def programme() -> Path | None:
    """Return what starts the broker, or None where it is not installed."""
    # The one on the path changes to a user of its own first.
    candidates = [
        Path("/usr/lib/rabbitmq/bin/rabbitmq-server"),
        *map(Path, filter(None, [shutil.which("rabbitmq-server")])),
    ]
    return next((path for path in candidates if path.exists()), None)


@contextmanager
def server(*, address: str = HOST) -> Iterator[str]:
    """Run a broker and yield its URL; it keeps nothing."""
    start = programme()
    assert start is not None
    root = Path(tempfile.mkdtemp(prefix="qanat-rabbit-"))
    port, distribution = _free_ports(address)
    (root / "plugins").write_text("[].\n")
    (root / "rabbitmq.conf").write_text("loopback_users = none\n")
    environment = {
        **os.environ,
        "HOME": str(root),
        "RABBITMQ_NODENAME": f"qanat{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": address,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(root / "mnesia"),
        "RABBITMQ_LOG_BASE": str(root / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(root / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(root / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": str(root / "none"),
        # Two schedulers are enough, and do not spin.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
    }
    with (root / "output").open("wb") as output:
        process = subprocess.Popen(
            [str(start)], env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, cwd=root
        )
    url = f"amqp://guest:guest@{address}:{port}//"
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                message = f"RabbitMQ did not start: {(root / 'output').read_text(errors='replace')[-3000:]}"
                raise RuntimeError(message)
            time.sleep(0.2)
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(root, ignore_errors=True)


def _answers(url: str) -> bool:
    try:
        with Connection(url, connect_timeout=2) as connection:
            connection.ensure_connection(max_retries=1, timeout=2)
    except (OperationalError, OSError):
        return False
    return True


def _free_ports(address: str) -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        for probe in (first, second):
            probe.bind((address, 0))
        return int(first.getsockname()[1]), int(second.getsockname()[1])
