"""The API server as it is run, in a process of its own, with an administrator's token."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from qanat.cli.up.platform import free_port

HOST = "127.0.0.1"
PASSWORD = "correct horse battery staple"
PREPARE = f"""
import django
django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
call_command("migrate", verbosity=0)
User.objects.create_superuser("admin", password="{PASSWORD}")
"""
START_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Live:
    """A server that runs."""

    port: int
    pid: int
    token: str

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}/api/"

    def client(self) -> httpx.Client:
        """Return a client that is logged in."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=60)


def environment(data_dir: Path, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what a process is told that belongs to the server on a data directory."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "qanat.server.config.settings",
        "QANAT_DATA_DIR": str(data_dir),
        "QANAT_DATABASE_URL": "",
        **(settings or {}),
    }


@contextmanager
def serving(data_dir: Path, settings: Mapping[str, str] | None = None) -> Iterator[Live]:
    """Run the API server on a database of its own."""
    told = environment(data_dir, settings)
    subprocess.run([sys.executable, "-c", PREPARE], env=told, check=True)
    port = free_port(HOST)
    token = ""

    def listens() -> bool:
        nonlocal token
        token = _token(port)
        return bool(token)

    with role("api", log=data_dir / "api.log", environment=told, options=["--port", str(port)], ready=listens) as pid:
        yield Live(port=port, pid=pid, token=token)


@contextmanager
def role(
    name: str, *, log: Path, environment: Mapping[str, str], options: Sequence[str], ready: Callable[[], bool]
) -> Iterator[int]:
    """Run a role of the server from when it is ready; yield its process' id."""
    command = [sys.executable, "-m", "qanat.server", name, "--host", HOST, *options]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def _token(port: int) -> str:
    try:
        answer = httpx.post(
            f"http://{HOST}:{port}/api/access_token/", json={"username": "admin", "password": PASSWORD}, timeout=30
        )
    except httpx.TransportError:
        return ""
    return str(answer.json()["access_token"])
