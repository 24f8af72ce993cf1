"""What is answered to whoever watches over a process, and who is answered."""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from qanat.server.counting import counters
from qanat.server.probes import application as probes
from qanat.server.probes import gauges
from qanat.server.probes.application import Probes
from qanat.server.probes.gauges import Reading
from qanat.server.probes.readiness import AWAY, Readiness
from qanat.server.realtime.answers import Answer, Send, send_answer
from qanat.server.runs.figures import Figures

TOKEN = "a token that is long enough for a server"
HERE = ("127.0.0.1", 4711)
ELSEWHERE = ("192.0.2.7", 4711)
READING = Reading(figures=Figures(runs={}, oldest_unplanned=3.0, longest_overdue=0.0, queues={}), tick_age=None)
Answered = tuple[int, dict[str, str], bytes]


async def the_rest(scope: probes.Scope, receive: probes.Receive, send: Send) -> None:
    """Stand for what a process serves."""
    await send_answer(Answer(status=299, headers=[], body=scope["path"].encode()), send)


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is well."""
    monkeypatch.setattr(Readiness, "lacking", lambda _self: "")
    monkeypatch.setattr(probes, "read", lambda: READING)


async def ask(
    served: Probes, path: str, *, method: str = "GET", client: object = HERE, host: str = "localhost", **headers: str
) -> Answered:
    sent: list[Any] = []

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI
        sent.append(message)

    async def receive() -> Any:  # noqa: ANN401 - ASGI
        raise AssertionError

    given = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "path": path,
        "method": method,
        "client": client,
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    await served(scope, receive, send)
    start, body = sent
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, body["body"]


def answer(path: str, **options: Any) -> Answered:  # noqa: ANN401 - of `ask`
    return asyncio.run(ask(Probes(the_rest), path, **options))


def hanging(monkeypatch: pytest.MonkeyPatch, test: Callable[[Probes], Coroutine[Any, Any, None]]) -> int:
    """Have a database take all questions and answer none while something is asked; return how many it took."""
    go_on = threading.Event()
    asked: list[str] = []

    def hang(what: str, found: object) -> Any:  # noqa: ANN401 - whatever is found
        asked.append(what)
        assert go_on.wait(30)
        return found

    monkeypatch.setattr(Readiness, "lacking", lambda _self: hang("ready", ""))
    monkeypatch.setattr(probes, "read", lambda: hang("metrics", READING))

    async def run() -> None:
        try:
            await test(Probes(the_rest, patience=0.05))
        finally:
            go_on.set()

    asyncio.run(run())
    return len(asked)


@pytest.mark.parametrize("path", ["/livez", "/livez/", "/readyz", "/readyz/"])
def test_a_process_that_is_well_says_so(path: str) -> None:
    code, headers, body = answer(path)

    assert (code, headers["content-type"], json.loads(body)) == (200, "application/json", {"status": "OK"})
    assert headers["content-length"] == str(len(body))


@pytest.mark.parametrize("path", ["/", "/api/livez", "/v2/metrics", "/livezz", "/healthcheck/"])
def test_all_else_is_left_to_what_the_process_serves(path: str) -> None:
    assert answer(path)[::2] == (299, path.encode())


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_probes_are_only_read(path: str) -> None:
    code, headers, _ = answer(path, method="POST")

    assert (code, headers["allow"]) == (405, "GET, HEAD")
    assert answer(path, method="HEAD")[0] == 200


def test_anybody_anywhere_may_ask_whether_a_process_lives_and_is_ready() -> None:
    stranger = {"client": ELSEWHERE, "host": "10.0.0.3:8000"}

    assert [answer(path, **stranger)[0] for path in ("/livez", "/readyz", "/metrics")] == [200, 200, 403]


def test_a_process_that_is_not_ready_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Readiness, "lacking", lambda _self: 'No "tables".')

    code, _, body = answer("/readyz")

    assert (code, json.loads(body)) == (503, {"detail": 'No "tables".'})


def test_a_database_that_never_answers_is_away_and_the_process_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(served: Probes) -> None:
        assert json.loads((await ask(served, "/readyz"))[2]) == {"detail": AWAY}
        assert (await ask(served, "/livez"))[0] == 200
        code, _, body = await ask(served, "/metrics")
        assert (code, b"\nqanat_database_up 0.0\n" in body) == (200, True)

    hanging(monkeypatch, test)


def test_many_who_ask_at_once_ask_the_database_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(served: Probes) -> None:
        paths = ["/readyz"] * 20 + ["/metrics"] * 20
        codes = [code for code, _, _ in await asyncio.gather(*(ask(served, path) for path in paths))]
        assert codes == [503] * 20 + [200] * 20

    assert hanging(monkeypatch, test) == 2


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000"])
@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_metrics_are_told_on_the_machine_itself(client: str, host: str) -> None:
    assert answer("/metrics", client=(client, 1), host=host)[0] == 200


@pytest.mark.parametrize(
    "asked",
    [
        {"client": ELSEWHERE},
        {"client": ("2001:db8::1", 1)},
        {"client": ("::ffff:192.0.2.7", 1)},
        {"client": None},
        {"host": "rebound.example"},
        {"host": "[::1"},
        {"x_forwarded_for": "127.0.0.1"},
        {"forwarded": "for=127.0.0.1"},
        {"x_real_ip": "127.0.0.1"},
        {"via": "1.1 proxy"},
    ],
    ids=str,
)
def test_metrics_are_not_told_elsewhere_nor_through_a_proxy(asked: dict[str, Any]) -> None:
    code, _, body = answer("/metrics", **asked)

    assert (code, b"QANAT_METRICS_TOKEN" in body, b"qanat_runs" in body) == (403, True, False)


def test_with_a_token_metrics_are_told_to_whoever_has_it(settings: Settings) -> None:
    settings.QANAT = settings.QANAT.model_copy(update={"metrics_token": TOKEN})

    codes = [
        answer("/metrics", client=ELSEWHERE, host="api.example", authorization=given)[0]
        for given in (f"Bearer {TOKEN}", f"bearer  {TOKEN}", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", "")
    ]

    assert codes == [200, 200, 401, 401, 401, 401]
    assert answer("/metrics")[0] == 401  # nor without it on the machine itself
    assert answer("/metrics")[1]["www-authenticate"].startswith("Bearer")


def test_metrics_can_be_parsed_and_are_all_there() -> None:
    _, headers, body = answer("/metrics")

    told = {family.name: family for family in text_string_to_metric_families(body.decode())}
    assert headers["content-type"].startswith("text/plain; version=")
    assert {gauge.name for gauge in gauges.ALL} <= told.keys()
    assert {metric.name for metric in counters.COUNTED.collect()} <= told.keys()
    assert [sample.value for sample in told["qanat_runs_oldest_unplanned_seconds"].samples] == [3.0]
    assert told["qanat_beat_tick_age_seconds"].samples == []
    assert "# EOF" not in body.decode()


def test_a_reader_of_open_metrics_gets_them() -> None:
    _, headers, body = answer("/metrics", accept="application/openmetrics-text; version=1.0.0")

    assert headers["content-type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
