"""An ASGI server's side of the WSGI application: clients that are slow hold a connection, never a thread.

A thread is lent for what needs one: running the application once the whole body is here, and reading the next piece of
a file once the client has taken the one before. Waiting for the network is the event loop's, which waits for thousands
as easily as for one. The threads stay the same, so that each keeps its connection to the database.
"""

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import unquote_to_bytes

from qanat.server.realtime.answers import Answer, Send, send_answer
from qanat.server.roles.body import SMALL_BODY, Body
from qanat.server.roles.connections import CLOSE_SECONDS, HANG_UP

Environ = dict[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Rest = Callable[[Send], Awaitable[None]]
"""Sends the rest of an answer, piece by piece, in the event loop."""

WITHOUT_LENGTH: Final = {204, 304}
BLOCK_BYTES: Final = 2**17
"""A body is written to disk, and an answer read from it, in blocks of about this size."""


class Doorkeeper(Protocol):
    """Who says, from the headers alone, whether a large body is worth taking."""

    def is_urgent(self, environ: Environ) -> bool:
        """Return whether the request must not wait until others are answered; it needs no database."""

    def longest_body(self, environ: Environ) -> int:
        """Return how many bytes the body of this request may have."""

    def refusal(self, environ: Environ) -> Answer | None:
        """Return the answer for somebody who may not send a large body here, or None; called in a thread."""


@dataclass
class Bridge:
    """The ASGI application; one an event loop."""

    application: Application
    doorkeeper: Doorkeeper
    folder: Path
    """Where large bodies lie until they are taken over."""
    rest_of: Callable[[Iterable[bytes]], Rest | None] = lambda _answer: None
    """What the event loop goes on with where the application's answer is only the beginning."""
    threads: int = 8
    file_threads: int = 8
    idle_seconds: float = 60.0
    """A body of which nothing has come for so long is given up."""
    _requests: ThreadPoolExecutor = field(init=False)
    _files: ThreadPoolExecutor = field(init=False)
    _door: ThreadPoolExecutor = field(init=False)
    _urgent: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        """Start the threads."""
        self._requests = _threads("request", self.threads)
        self._files = _threads("file", self.file_threads)
        # Many may come at once, and they must not take all of the processor from those who are inside.
        self._door = _threads("door", 1)
        self._urgent = _threads("urgent", 1)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        environ = environ_of(scope)
        loop = asyncio.get_running_loop()
        urgent = self.doorkeeper.is_urgent(environ)
        with Body(self.folder, environ.get("CONTENT_TYPE", "")) as body:
            try:
                refused = await self._take_body(environ, receive, body)
            except _Gone:
                return
            if refused is not None:
                await send_answer(refused, send)
                return
            environ |= body.as_input()
            run = _Run(self.application, environ, self.rest_of)
            await loop.run_in_executor(self._urgent if urgent else self._requests, run.start)
        if run.rest is None:
            await self._send(run, receive, send)
        else:
            await _send_stream(run, run.rest, receive, send, hang_up=scope["extensions"][HANG_UP])

    async def _take_body(self, environ: Environ, receive: Receive, body: Body) -> Answer | None:
        """Take the whole body; return the answer to send instead of the application's where it is not wanted.

        What is refused is still read to its end, or the client, busy sending, would not hear why.

        Raises:
            _Gone: the client hung up, or has not sent anything for too long.
        """
        loop = asyncio.get_running_loop()
        limit = self.doorkeeper.longest_body(environ)
        announced = int(environ.get("CONTENT_LENGTH") or 0)
        refused = _too_long(limit) if announced > limit else None
        admitted = False
        size = 0
        pending = bytearray()
        more = True
        while more:
            message = await self._next(receive)
            pending += message.get("body", b"")
            more = message.get("more_body", False)
            size += len(message.get("body", b""))
            if refused is None and size > limit:
                refused = _too_long(limit)
            if refused is None and not admitted and max(announced, size) > SMALL_BODY:
                refused = await loop.run_in_executor(self._door, self.doorkeeper.refusal, environ)
                admitted = True
            if refused is not None:
                pending.clear()
            elif len(pending) >= BLOCK_BYTES or not more:
                block, pending = bytes(pending), bytearray()
                if body.in_memory(len(block)):
                    body.write(block)
                else:
                    await loop.run_in_executor(self._files, body.write, block)
        environ["CONTENT_LENGTH"] = str(size)
        return refused

    async def _next(self, receive: Receive) -> Message:
        try:
            async with asyncio.timeout(self.idle_seconds):
                message = await receive()
        except TimeoutError:
            raise _Gone from None
        if message["type"] == "http.disconnect":
            raise _Gone
        return message

    async def _send(self, run: "_Run", receive: Receive, send: Send) -> None:
        """Send the answer, each piece once the client has room for it."""
        start = {"type": "http.response.start", "status": run.status, "headers": run.headers}
        if run.finished:
            await send(start)
            await send({"type": "http.response.body", "body": run.piece})
            return
        loop = asyncio.get_running_loop()
        hung_up = asyncio.ensure_future(_until_disconnected(receive))
        try:
            await send(start)
            more = True
            while more and not hung_up.done():
                await send({"type": "http.response.body", "body": run.piece, "more_body": True})
                more = await loop.run_in_executor(self._files, run.advance)
            await send({"type": "http.response.body", "body": run.piece})
        finally:
            hung_up.cancel()
            with suppress(asyncio.CancelledError):
                await hung_up
            await loop.run_in_executor(self._files, run.close)


class _Gone(Exception):
    """The client is not there any more."""


class _Run:
    """One call of the application, driven from threads of the pools, one at a time."""

    def __init__(
        self, application: Application, environ: Environ, rest_of: Callable[[Iterable[bytes]], Rest | None]
    ) -> None:
        self._application = application
        self._environ = environ
        self._rest_of = rest_of
        self.rest: Rest | None = None
        self._result: Iterable[bytes] = ()
        self._pieces: Iterator[bytes] = iter(())
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.piece = b""
        self.finished = False

    def start(self) -> None:
        """Call the application and take the first piece; an answer that fits into it is finished then."""
        self._result = self._application(self._environ, self._start_response)
        self._pieces = iter(self._result)
        if self._environ["REQUEST_METHOD"] == "HEAD":
            self.finished = True
        else:
            self.rest = self._rest_of(self._result)
            self.advance()
        if self.finished:
            whole = self.rest is None and not getattr(self._result, "streaming", True)
            if self._environ["REQUEST_METHOD"] != "HEAD" and whole:
                self._say_length()
            self.close()

    def advance(self) -> bool:
        """Take the next piece, and say whether more may follow."""
        taken: list[bytes] = []
        size = 0
        while size < BLOCK_BYTES:
            chunk = next(self._pieces, None)
            if chunk is None:
                self.finished = True
                break
            taken.append(chunk)
            size += len(chunk)
        self.piece = b"".join(taken)
        return not self.finished

    def _say_length(self) -> None:
        """Spare the client the chunks of an answer that is there as a whole."""
        if self.status not in WITHOUT_LENGTH and not any(name == b"content-length" for name, _ in self.headers):
            self.headers.append((b"content-length", str(len(self.piece)).encode()))

    def close(self) -> None:
        """Let the application clean up."""
        result, self._result, self._pieces = self._result, (), iter(())
        close = getattr(result, "close", None)
        if close is not None:
            close()

    def _start_response(self, status: str, headers: list[tuple[str, str]], error: object = None) -> None:
        del error
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def environ_of(scope: MutableMapping[str, Any]) -> Environ:
    """Return the WSGI environment of an ASGI request."""
    server = scope.get("server") or ("", None)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        # WSGI carries bytes as characters of Latin-1.
        "PATH_INFO": unquote_to_bytes(scope["raw_path"].partition(b"?")[0]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or ""),
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        # With an underscore it would pass for its namesake with a hyphen, which a proxy may have checked.
        if b"_" in raw_name:
            continue
        name, value = raw_name.decode("latin-1").upper().replace("-", "_"), raw_value.decode("latin-1")
        name = name if name in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{name}"
        environ[name] = f"{environ[name]},{value}" if name in environ else value
    return environ


def _threads(name: str, number: int) -> ThreadPoolExecutor:
    """Return threads that have been started, for the event loop would have to wait for each that it starts."""
    pool = ThreadPoolExecutor(number, thread_name_prefix=name)
    all_there = threading.Barrier(number)
    list(pool.map(lambda _: all_there.wait(), range(number)))
    return pool


def _too_long(limit: int) -> Answer:
    text = f'{{"detail":"The body is longer than the {limit} bytes that this server takes here."}}'
    return Answer.json(413, text)


async def _send_stream(run: _Run, rest: Rest, receive: Receive, send: Send, *, hang_up: Callable[[], None]) -> None:
    """Send the beginning of an answer and the rest of it, until there is no more or the client hangs up.

    Whoever does not take the end of it is hung up on.
    """
    hung_up = asyncio.ensure_future(_until_disconnected(receive))
    sending = asyncio.ensure_future(_send_all(run, rest, send))
    try:
        await asyncio.wait({hung_up, sending}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
            await asyncio.wait_for(send({"type": "http.response.body", "body": b""}), CLOSE_SECONDS)
    except TimeoutError:
        hang_up()
        await hung_up
    finally:
        for task in (hung_up, sending):
            task.cancel()
        await asyncio.gather(hung_up, sending, return_exceptions=True)


async def _send_all(run: _Run, rest: Rest, send: Send) -> None:
    await send({"type": "http.response.start", "status": run.status, "headers": run.headers})
    await send({"type": "http.response.body", "body": run.piece, "more_body": True})
    await rest(send)


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
