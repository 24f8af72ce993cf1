"""The bridge between the event loop and the application: bodies, pieces, and clients that go away."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from qanat.server.realtime.answers import Answer
from qanat.server.roles.body import SMALL_BODY
from qanat.server.roles.bridge import BLOCK_BYTES, Bridge, Environ, environ_of

LIMIT = 4 * SMALL_BODY


class Doorkeeper:
    """Turns everybody away where told so, and counts how often it was asked."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer
        self.asked = 0

    def is_urgent(self, environ: Environ) -> bool:
        return bool(environ["REQUEST_METHOD"] == "HEAD")

    def longest_body(self, environ: Environ) -> int:
        return LIMIT

    def refusal(self, environ: Environ) -> Answer | None:
        self.asked += 1
        return self.answer


class Result(Iterator[bytes]):
    """An answer of the application's that notes whether it was closed and how much of it was taken."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self.taken = 0
        self.closed = 0

    def __next__(self) -> bytes:
        piece = next(self._pieces)
        self.taken += 1
        return piece

    def close(self) -> None:
        self.closed += 1


class Client:
    """Sends a body in pieces, and takes answers until it goes away."""

    def __init__(
        self,
        *pieces: bytes,
        method: str = "POST",
        leaves_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._pieces = list(pieces) or [b""]
        self._leaves_after = leaves_after
        self._left = asyncio.Event()
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "http_version": "1.1",
            "scheme": "http",
            "path": "/",
            "raw_path": b"/a%20b/%C3%A9",
            "query_string": b"q=1",
            "server": ("host", 80),
            "client": ("1.2.3.4", 5),
            "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
        }
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        if self._pieces:
            piece = self._pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(self._pieces)}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:  # noqa: ANN401 - ASGI's
        self.sent.append(dict(message))
        if self._leaves_after == len(self.sent):
            self._left.set()
            await asyncio.sleep(0)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., Bridge]:
    """Call an application for a client, over a bridge."""

    def call(application: Any, client: Client, doorkeeper: Doorkeeper | None = None, **options: float) -> Bridge:  # noqa: ANN401 - WSGI's
        bridge = Bridge(application, doorkeeper or Doorkeeper(), folder=tmp_path, **options)  # type: ignore[arg-type]
        asyncio.run(bridge(client.scope, client.receive, client.send))
        return bridge

    return call


def echo(environ: Environ, start: Callable[..., Any]) -> list[bytes]:
    start("200 OK", [("Content-Type", "text/plain")])
    return [environ["CONTENT_LENGTH"].encode(), b":", environ["wsgi.input"].read()]


def answering(result: Result) -> Callable[..., Result]:
    def application(environ: Environ, start: Callable[..., Any]) -> Result:
        start("200 OK", [])
        return result

    return application


@pytest.mark.parametrize("size", [0, 1, SMALL_BODY, SMALL_BODY + 1, LIMIT])
def test_the_application_gets_the_whole_body(call: Callable[..., Bridge], size: int) -> None:
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    client = Client(*(body[start : start + 50_000] for start in range(0, size, 50_000)))

    call(echo, client)

    assert client.body == str(size).encode() + b":" + body


def test_only_large_bodies_are_asked_about_and_once(call: Callable[..., Bridge]) -> None:
    small, large = Doorkeeper(), Doorkeeper()

    call(echo, Client(bytes(SMALL_BODY)), small)
    call(echo, Client(*[bytes(SMALL_BODY)] * 3), large)

    assert (small.asked, large.asked) == (0, 1)


def test_who_is_turned_away_hears_so_and_the_application_does_not(call: Callable[..., Bridge]) -> None:
    client = Client(*[bytes(SMALL_BODY)] * 3)

    call(None, client, Doorkeeper(Answer(status=403, headers=[("Content-Type", "text/plain")], body=b"no")))

    assert (client.status, client.body) == (403, b"no")


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_long_is_refused_announced_or_not(call: Callable[..., Bridge], announced: bool) -> None:  # noqa: FBT001 - a case
    headers = {"content-length": str(LIMIT + 1)} if announced else {}
    client = Client(bytes(LIMIT), b"x", headers=headers)

    call(None, client)

    assert client.status == 413
    assert str(LIMIT) in client.body.decode()


def test_an_answer_comes_in_pieces_as_the_client_takes_them(call: Callable[..., Bridge]) -> None:
    result = Result(bytes([number]) * BLOCK_BYTES for number in range(5))
    client = Client()

    call(answering(result), client)

    assert client.body == b"".join(bytes([number]) * BLOCK_BYTES for number in range(5))
    assert [message["type"] for message in client.sent].count("http.response.body") >= 5
    assert client.sent[-1].get("more_body", False) is False
    assert result.closed == 1


def test_what_is_urgent_does_not_wait_for_others(tmp_path: Path) -> None:
    free = threading.Event()

    def application(environ: Environ, start: Callable[..., Any]) -> list[bytes]:
        if environ["REQUEST_METHOD"] == "HEAD":
            free.set()
        assert free.wait(60)
        start("200 OK", [])
        return [b""]

    async def ask() -> None:
        bridge = Bridge(application, Doorkeeper(), folder=tmp_path, threads=1)
        clients = Client(), Client(), Client(method="HEAD")
        await asyncio.gather(*(bridge(client.scope, client.receive, client.send) for client in clients))
        assert [client.status for client in clients] == [200] * 3

    asyncio.run(ask())


def test_nothing_more_is_read_for_a_client_that_has_gone(call: Callable[..., Bridge]) -> None:
    result = Result(bytes(BLOCK_BYTES) for _ in range(1000))

    call(answering(result), Client(leaves_after=3))

    assert result.taken < 10
    assert result.closed == 1


def test_an_answer_that_breaks_off_is_not_passed_off_as_whole(call: Callable[..., Bridge]) -> None:
    def breaking_off() -> Iterator[bytes]:
        yield bytes(BLOCK_BYTES)
        raise OSError

    result = Result(breaking_off())
    client = Client()

    with pytest.raises(OSError):  # noqa: PT011 - that of the answer; the server then cuts the connection
        call(answering(result), client)

    assert all(message["more_body"] for message in client.sent[1:])
    assert result.closed == 1


def test_for_the_head_of_an_answer_its_body_is_not_read(call: Callable[..., Bridge]) -> None:
    result = Result(bytes(BLOCK_BYTES) for _ in range(1000))
    client = Client(method="HEAD")

    call(answering(result), client)

    assert (client.status, client.body, result.taken, result.closed) == (200, b"", 0, 1)


def test_a_body_of_which_nothing_comes_is_given_up(call: Callable[..., Bridge]) -> None:
    client = Client(b"x", b"y")
    client._pieces = [b"x"]
    scope = client.receive

    async def receive() -> dict[str, Any]:
        message = await scope()
        return message | {"more_body": True}

    client.receive = receive  # type: ignore[method-assign]
    call(None, client, idle_seconds=0.01)

    assert client.sent == []


def test_the_environment_is_that_of_the_request() -> None:
    client = Client(headers={"content-type": "text/csv", "content-length": "3", "x-one": "1", "accept": "a"})
    client.scope["headers"] += [(b"accept", b"b"), (b"x_one", b"spoofed")]

    environ = environ_of(client.scope)

    assert environ["PATH_INFO"].encode("latin-1").decode() == "/a b/é"
    assert (environ["QUERY_STRING"], environ["REMOTE_ADDR"], environ["SERVER_NAME"]) == ("q=1", "1.2.3.4", "host")
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("text/csv", "3")
    assert (environ["HTTP_X_ONE"], environ["HTTP_ACCEPT"]) == ("1", "a,b")
