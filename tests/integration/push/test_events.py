"""``/api/v2/events/``: server-sent events, as browsers get them from the real API server."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil
import pytest

from tests.integration.push import backstage
from tests.integration.push.backstage import Somebody
from tests.integration.push.stage import PATIENCE, Stage
from tests.live_server import HOST

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("push")]
MANY = 50


@dataclass
class Stream:
    """A stream as a browser reads it: the id is remembered of each event, the data of those that have any."""

    lines: Iterator[str]
    last_id: str = ""
    kind: str = ""
    comments: list[str] = field(default_factory=list)

    def next(self) -> dict[str, Any]:
        """Return the data of the next event that has any."""
        data = None
        for line in self.lines:
            name, _, value = line.partition(": ")
            if name == "id":
                self.last_id = value
            elif name == "event":
                self.kind = value
            elif name == "data":
                data = json.loads(value)
            elif not line and data is not None:
                return {"event": self.kind, **data}
        message = "the stream has ended"
        raise EOFError(message)

    def begin(self) -> None:
        """Read until the stream says from where it goes on."""
        while not self.last_id:
            name, _, value = next(self.lines).partition(": ")
            self.last_id = value if name == "id" else ""


@contextmanager
def streaming(stage: Stage, token: str, *, after: str = "") -> Iterator[Stream]:
    """Read a stream, as from an event on where one is given."""
    headers = {"Last-Event-ID": after} if after else {}
    with stage.client(token) as client, client.stream("GET", "v2/events/", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        yield Stream(answer.iter_lines())


def test_what_happens_to_an_analysis_is_told_as_it_happens(stage: Stage, me: Somebody, ready: int) -> None:
    with streaming(stage, me.token) as stream:
        stream.begin()
        stage.do(backstage.begin, ready, me.id)
        stage.do(backstage.take_any, ready)
        heard = [stream.next()]
        while heard[-1]["change"] != "claimed":
            heard.append(stream.next())

    submitted, claimed = heard[0], heard[-1]
    assert {each["analysis"] for each in heard} == {ready}
    assert (submitted["event"], submitted["change"], submitted["sub_task"]) == ("run", "run submitted", None)
    assert (claimed["event"], claimed["state"], claimed["status"]) == ("sub_task", "STARTED", "RUN_STARTED")
    assert claimed["sub_task"]["slug"]
    assert [each["number"] for each in heard] == sorted(each["number"] for each in heard)


def test_the_end_of_an_analysis_is_told(stage: Stage, me: Somebody, running: int) -> None:
    with streaming(stage, me.token) as stream:
        stream.begin()
        stage.do(backstage.finish, running)
        heard = stream.next()
        while (heard["event"], heard["state"]) != ("run", "succeeded"):
            heard = stream.next()

    assert (heard["analysis"], heard["status"]) == (running, "RUN_COMPLETED")


def test_nothing_is_told_of_other_groups(stage: Stage, me: Somebody, other: Somebody, running: int) -> None:
    theirs = stage.do(backstage.analysis, other.group)
    stage.do(backstage.begin, theirs, other.id)
    with streaming(stage, me.token) as stream:
        stream.begin()
        stage.do(backstage.happen, theirs, times=3)
        stage.do(backstage.happen, running)

        heard = stream.next()

    assert (heard["analysis"], heard["change"]) == (running, "noted")


def test_groups_that_change_count_at_once(stage: Stage, me: Somebody, other: Somebody, running: int) -> None:
    theirs = stage.do(backstage.analysis, other.group)
    stage.do(backstage.begin, theirs, other.id)
    with streaming(stage, me.token) as stream:
        stream.begin()
        stage.do(backstage.move, me.id, to=other.group)
        stage.do(backstage.happen, running)
        stage.do(backstage.happen, theirs)

        assert stream.next()["analysis"] == theirs


def test_a_stream_goes_on_where_it_broke_off(stage: Stage, me: Somebody, other: Somebody, running: int) -> None:
    theirs = stage.do(backstage.analysis, other.group)
    stage.do(backstage.begin, theirs, other.id)
    with streaming(stage, me.token) as stream:
        stream.begin()
        first = stage.do(backstage.happen, running)
        assert stream.next()["number"] == first
        last_id = stream.last_id
    stage.do(backstage.happen, theirs)
    missed = [stage.do(backstage.happen, running) for _ in range(3)]

    with streaming(stage, me.token, after=last_id) as stream:
        heard = [stream.next()["number"] for _ in missed]
        missed.append(stage.do(backstage.happen, running))
        heard.append(stream.next()["number"])

    assert heard == missed


@pytest.mark.parametrize("after", ["0", "999999999"])
def test_a_reader_that_was_away_for_too_long_is_told_to_begin_anew(
    stage: Stage, me: Somebody, running: int, after: str
) -> None:
    if after == "0":
        stage.do(backstage.happen, running, times=5000)

    with streaming(stage, me.token, after=after) as stream:
        assert stream.next() == {"event": "reset"}
        number = stage.do(backstage.happen, running)
        assert stream.next()["number"] == number


@pytest.mark.parametrize("after", ["one", "-1", "1.5", "9" * 30, "²"])
def test_an_id_that_is_none_is_refused(stage: Stage, me: Somebody, after: str) -> None:
    with stage.client(me.token) as client:
        answer = client.get("v2/events/", headers={b"Last-Event-ID": after.encode()})

    assert (answer.status_code, list(answer.json())) == (400, ["Last-Event-ID"])


def test_a_browser_reads_it_by_its_session(stage: Stage, me: Somebody, running: int) -> None:
    cookies = {"sessionid": stage.do(backstage.session_of, me.id)}
    with (
        httpx.Client(base_url=stage.api.url, cookies=cookies, timeout=PATIENCE) as client,
        client.stream("GET", "v2/events/") as answer,
    ):
        stream = Stream(answer.iter_lines())
        stream.begin()
        stage.do(backstage.happen, running)

        assert stream.next()["analysis"] == running


def test_nobody_reads_it_without_proof(stage: Stage, me: Somebody) -> None:
    with stage.client("") as nobody, stage.client(me.refresh_token) as forger:
        assert [client.get("v2/events/").status_code for client in (nobody, forger)] == [403, 403]


def test_a_stream_ends_with_its_token(stage: Stage) -> None:
    brief = stage.do(backstage.somebody, token_seconds=2)

    with streaming(stage, brief.token) as stream:
        for _ in stream.lines:
            pass


def test_a_stream_ends_for_whoever_is_switched_off(stage: Stage, me: Somebody, running: int) -> None:
    with streaming(stage, me.token) as stream:
        stream.begin()
        stage.do(backstage.switch_off, me.id)
        stage.do(backstage.happen, running)

        with pytest.raises(EOFError):
            stream.next()


def test_the_head_of_a_stream_is_answered_and_that_is_all(stage: Stage, me: Somebody) -> None:
    with stage.client(me.token) as client:
        answer = client.head("v2/events/")

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream")


def test_many_readers_cost_no_thread_and_no_connection_to_the_database(
    stage: Stage, me: Somebody, running: int
) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(streaming(stage, me.token))
        first.begin()
        before = _threads(stage), _connections(stage)
        streams = [stack.enter_context(streaming(stage, me.token)) for _ in range(MANY)]
        for stream in streams:
            stream.begin()
        after = _threads(stage), _connections(stage)
        number = stage.do(backstage.happen, running)
        heard = {stream.next()["number"] for stream in streams}
        with stage.client("") as client:
            answers = client.get("healthcheck/").json()

    assert heard == {number}
    assert answers == {"status": "OK"}
    # Each request was let in by one of the API's few threads, which keep their connections.
    assert after[0] - before[0] <= 8
    assert after[1] - before[1] <= 8


def test_readers_that_do_not_read_hold_up_nobody(stage: Stage, me: Somebody, running: int) -> None:
    with ExitStack() as stack:
        reader = stack.enter_context(streaming(stage, me.token))
        reader.begin()
        _read_many(stage, reader, running)
        for _ in range(10):
            deaf = stack.enter_context(socket.create_connection((HOST, stage.api.port), timeout=PATIENCE))
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            head = f"GET /api/v2/events/ HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {me.token}\r\n\r\n"
            deaf.sendall(head.encode())
            assert deaf.recv(12) == b"HTTP/1.1 200"
        before = _memory(stage)
        for _ in range(4):
            _read_many(stage, reader, running)
        grown = _memory(stage) - before

    # Copied and kept, 8,000 events of some 300 bytes for each of ten would be 24 MB.
    assert grown < 12e6


def _read_many(stage: Stage, stream: Stream, analysis: int) -> None:
    last = stage.do(backstage.happen, analysis, times=2000)
    while stream.next()["number"] != last:
        pass


def _processes(stage: Stage) -> list[psutil.Process]:
    server = psutil.Process(stage.api.pid)
    return [server, *server.children(recursive=True)]


def _threads(stage: Stage) -> int:
    return sum(process.num_threads() for process in _processes(stage))


def _memory(stage: Stage) -> int:
    return sum(int(process.memory_full_info().uss) for process in _processes(stage))


def _connections(stage: Stage) -> int:
    return stage.do(backstage.connections) if stage.postgresql else 0
