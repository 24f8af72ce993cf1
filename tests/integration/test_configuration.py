"""Servers that are configured by the names of the reference platform alone, as its deployments do it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from qanat.cli.up.platform import free_port
from tests import postgres
from tests.live_server import HOST, START_SECONDS

PASSWORD = "hush-hush correct horse"
INI = """
[default]
DB_NAME = postgres
DB_USER = qanat
[server]
DB_HOST = {database}
MEDIA_ROOT = {files}
ALLOWED_HOSTS = *
DISABLE_V2_API = True
TOKEN_ACCESS_LIFETIME = minutes=5
CHANNEL_LAYER_PASS = hush-hush
STORAGE_TYP = shared-fs
"""


@contextmanager
def api(environment: dict[str, str], log: Path) -> Iterator[str]:
    """Run an API server and yield its address; it may not listen yet."""
    port = free_port(HOST)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "qanat.server", "api", "--host", HOST, "--port", str(port)],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield f"http://{HOST}:{port}/"
    finally:
        process.terminate()
        process.wait(30)


def token(url: str, log: Path) -> httpx.Response:
    """Log in once the server listens."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return httpx.post(f"{url}api/access_token/", json={"username": "ann", "password": PASSWORD}, timeout=30)
        except httpx.TransportError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


@pytest.mark.postgres
@pytest.mark.slow
def test_two_servers_start_at_once_on_an_empty_database(tmp_path: Path) -> None:
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL's binaries are not installed: apt-get install postgresql")
    with postgres.server() as address, ExitStack() as servers:
        ini = tmp_path / "conf.ini"
        ini.write_text(INI.format(database=address.partition("host=")[2], files=tmp_path / "files"))
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("QANAT_", "OASIS_"))}
        environment |= {
            "XDG_DATA_HOME": str(tmp_path),
            "OASIS_INI_PATH": str(ini),
            "OASIS_SERVER_DB_ENGINE": "django.db.backends.postgresql_psycopg2",
            "OASIS_CELERY_BROKER_URL": "memory://",
            "OASIS_ADMIN_USER": "ann",
            "OASIS_ADMIN_PASS": PASSWORD,
            "STARTUP_RUN_MIGRATIONS": "true",
        }
        logs = [tmp_path / "one.log", tmp_path / "two.log"]
        urls = [
            servers.enter_context(api(environment | {"QANAT_LOG_FORMAT": form, "QANAT_LOG_LEVEL": "debug"}, log))
            for form, log in zip(("text", "json"), logs, strict=True)
        ]

        answers = [token(url, log) for url, log in zip(urls, logs, strict=True)]
        bearer = {"Authorization": f"Bearer {answers[0].json()['access_token']}"}
        codes = [
            httpx.get(f"{urls[1]}{path}", headers=bearer, timeout=30).status_code
            for path in ("api/v1/portfolios/", "api/v2/portfolios/", "v1/models/", "v2/models/")
        ]

    assert [answer.json()["expires_in"] for answer in answers] == [300, 300]
    assert codes == [200, 404, 200, 404]
    said = [logs[0].read_text(), "\n".join(json.loads(line)["message"] for line in logs[1].read_text().splitlines())]
    for text in said:
        assert f"Nobody reads [server] STORAGE_TYP in {ini}: perhaps [server] STORAGE_TYPE is meant" in text
        assert f"says why): [server] CHANNEL_LAYER_PASS in {ini}" in text
    for log in logs:
        assert "hush" not in log.read_text()
