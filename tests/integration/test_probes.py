"""Processes as they are run, asked whether they live, are ready, and how they are doing."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families

from qanat.cli.up.platform import free_port
from qanat.server.probes.readiness import AWAY, EMPTY, Readiness
from tests.live_server import HOST, Live, environment, role, serving

GROUP = pytest.mark.xdist_group("live server")
NOBODY_THERE = "postgresql://nobody@127.0.0.1:1/nothing"
Samples = dict[tuple[str, ...], float]


def ask(port: int, path: str) -> httpx.Response:
    return httpx.get(f"http://{HOST}:{port}{path}", timeout=30)


def metrics(port: int) -> Samples:
    """Return the metrics of a process, each by its name and the values of its labels."""
    families = text_string_to_metric_families(ask(port, "/metrics").text)
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def alive(port: int) -> bool:
    with suppress(httpx.TransportError):
        return ask(port, "/livez").text == '{"status":"OK"}'
    return False


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Start a role that answers probes, and return the port where it does."""
    with ExitStack() as stack:

        def start(name: str, **settings: str) -> int:
            port = free_port(HOST)
            told = environment(tmp_path, {"QANAT_PROBE_PORT": str(port), **settings})
            options = ["--websocket-port", str(port)]
            log = tmp_path / f"{name}.log"
            stack.enter_context(role(name, log=log, environment=told, options=options, ready=lambda: alive(port)))
            return port

        yield start


@GROUP
@pytest.mark.slow
def test_roles_without_http_live_at_once_and_are_ready_once_the_tables_are_there(
    started: Callable[..., int], tmp_path: Path, eventually: Callable[[Callable[[], object]], None]
) -> None:
    port = started("monitor")
    before = ask(port, "/readyz")

    migrate = [sys.executable, "-m", "qanat.server", "migrate"]
    subprocess.run(migrate, env=environment(tmp_path), check=True, capture_output=True)
    eventually(lambda: ask(port, "/readyz").json() == {"status": "OK"})

    assert (before.status_code, before.json()) == (503, {"detail": EMPTY})
    assert metrics(port)["qanat_runs", "active"] == 0
    assert ask(port, "/api/healthcheck/").status_code == 404


@GROUP
@pytest.mark.slow
def test_the_websocket_server_says_that_the_database_is_away(started: Callable[..., int]) -> None:
    port = started("websocket", QANAT_DATABASE_URL=NOBODY_THERE)

    ready = ask(port, "/readyz")

    assert (ready.status_code, ready.json()) == (503, {"detail": AWAY})
    assert metrics(port)[("qanat_database_up",)] == 0
    assert ask(port, "/ws/v2/queue-status/").status_code == 426


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """An API server of two processes."""
    with serving(tmp_path_factory.mktemp("probes"), {"QANAT_API_PROCESSES": "2"}) as live:
        yield live


@GROUP
@pytest.mark.slow
def test_every_process_of_the_api_tells_what_all_of_them_have_answered_and_those_that_died(
    api: Live, eventually: Callable[[Callable[[], object]], None]
) -> None:
    health = ("qanat_http_requests_total", "GET", "/healthcheck/", "200")
    server = psutil.Process(api.pid)
    eventually(lambda: len(server.children()) == 2)  # One may answer before the other is there.
    first, second = server.children()
    codes = [ask(api.port, "/api/healthcheck/").status_code for _ in range(20)]
    codes += [ask(api.port, "/healthcheck/").status_code for _ in range(10)]

    told = [metrics(api.port).get(health) for _ in range(10)]
    first.send_signal(signal.SIGKILL)
    eventually(lambda: len(set(server.children()) - {first, second}) == 1 and alive(api.port))
    told += [metrics(api.port).get(health) for _ in range(10)]

    assert codes == [200] * 30
    assert told == [30.0] * 20


@GROUP
@pytest.mark.slow
def test_requests_are_counted_by_route_whatever_clients_make_up(api: Live) -> None:
    def requests() -> set[tuple[str, ...]]:
        return {key[1:] for key in metrics(api.port) if key[0] == "qanat_http_requests_total"}

    before = requests()
    for number in range(5):
        ask(api.port, f"/api/v2/analyses/{number}/")
        ask(api.port, f"/made-up-{number}/")
    httpx.request("PROPFIND", f"http://{HOST}:{api.port}/made-up/")
    with api.client() as client:
        client.post("v2/portfolios/", content=b"x" * 10**6, headers={"Content-Type": "multipart/form-data; boundary=b"})

    routes = requests() - before

    # A large body is asked about before it is taken, which is no request.
    assert routes == {
        ("GET", "/v2/analyses/<int:pk>/", "403"),
        ("GET", "other", "404"),
        ("other", "other", "404"),
        ("POST", "/v2/portfolios/", "400"),
    }


@GROUP
@pytest.mark.slow
def test_the_api_is_ready(api: Live) -> None:
    assert [ask(api.port, path).status_code for path in ("/livez", "/readyz")] == [200, 200]


@pytest.mark.django_db
def test_the_tables_are_looked_for_in_one_query_until_they_were_seen() -> None:
    readiness = Readiness()

    with CaptureQueriesContext(connection) as first:
        assert not readiness.lacking()
    with CaptureQueriesContext(connection) as second:
        assert not readiness.lacking()

    assert [len(first), len(second)] == [1, 1]
    assert "django_migrations" in first[0]["sql"]
    assert second[0]["sql"] == "SELECT 1"


@pytest.mark.django_db
def test_migrations_that_lack_are_named_until_they_are_applied() -> None:
    readiness = Readiness()
    applied = MigrationRecorder.Migration.objects.filter(app="queues").order_by("name")
    rows = list(applied)
    applied.delete()

    lacking = readiness.lacking()
    MigrationRecorder.Migration.objects.bulk_create(rows)

    assert lacking.startswith(f"{len(rows)} migrations have not been applied to the database, the first is queues.0001")
    assert not readiness.lacking()
