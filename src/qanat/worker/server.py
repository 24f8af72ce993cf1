"""The worker's side of the worker protocol (``contract.worker_protocol``)."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, cast

import httpx

from qanat.contract.worker_protocol import (
    STEP_TOKEN_SCHEME,
    WORKER_KEY_SCHEME,
    Claim,
    Commit,
    Failure,
    Heartbeat,
    HeartbeatVerdict,
    Hello,
    HelloAnswer,
    OutputFile,
    StepSpec,
)

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 30.0
CONNECT_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
CONFLICT = 409
COPY_BYTES = 2**20
BEATS_PER_LEASE = 6


class Refused(Exception):
    """The step is not, or no longer, the worker's: forget it and discard what was made."""


class ServerAway(Exception):
    """The server could not be reached, or could not do it, for as long as it mattered."""


class Server(Protocol):
    """What the supervisor asks of the server."""

    def hello(self, hello: Hello) -> HelloAnswer:
        """Say that the worker lives."""

    def claim(self, step_id: int, claim: Claim) -> StepSpec:
        """Claim a step; raises Refused."""

    def heartbeat(self, spec: StepSpec, beat: Heartbeat) -> HeartbeatVerdict:
        """Extend the lease."""

    def fetch(self, spec: StepSpec, label: str, target: Path) -> None:
        """Download an input; raises Refused."""

    def store(self, spec: StepSpec, label: str, source: Path) -> OutputFile:
        """Upload an output; raises Refused."""

    def log(self, spec: StepSpec, offset: int, text: bytes, *, patiently: bool = False) -> int:
        """Send a piece of the log; return how much the server has; raises Refused."""

    def commit(self, spec: StepSpec, commit: Commit) -> None:
        """Commit the step; raises Refused."""

    def fail(self, spec: StepSpec, failure: Failure) -> bool:
        """Report the failure; return whether the step is tried again; raises Refused."""

    def release(self, spec: StepSpec) -> None:
        """Hand the step back; raises Refused."""


class HttpServer:
    """The server over HTTP; see ``Server``.

    What can be repeated is: 5xx and connection errors are tried again, with pauses that double, until as much time has
    passed as a lease lasts; after that the step is somebody else's anyway.
    """

    def __init__(self, base: str, *, worker_key: str, pause: Callable[[float], None] = time.sleep) -> None:
        """Talk to the API at ``base``, with or without its ``/api/``."""
        self._client = httpx.Client(base_url=f"{base.rstrip('/')}/workers/", timeout=_timeout(ANSWER_SECONDS))
        self._key = {"Authorization": f"{WORKER_KEY_SCHEME} {worker_key}"}
        self._pause = pause

    def hello(self, hello: Hello) -> HelloAnswer:
        """See ``Server``; tried once, for the next hello comes soon."""
        return cast("HelloAnswer", self._once("POST", "hello/", headers=self._key, json=hello).json())

    def claim(self, step_id: int, claim: Claim) -> StepSpec:
        """See ``Server``."""
        answer = self._try(10.0, "POST", f"steps/{step_id}/claim/", headers=self._key, json=claim)
        return cast("StepSpec", answer.json())

    def heartbeat(self, spec: StepSpec, beat: Heartbeat) -> HeartbeatVerdict:
        """See ``Server``; tried once, for the next one comes soon."""
        # An answer that comes later than the next beat is worth nothing, and must not cost the lease.
        timeout = spec["lease_seconds"] / BEATS_PER_LEASE
        url = f"steps/{spec['step_id']}/heartbeat/"
        answer = self._once("POST", url, headers=_token(spec), json=beat, timeout=timeout)
        return cast("HeartbeatVerdict", answer.json()["verdict"])

    def fetch(self, spec: StepSpec, label: str, target: Path) -> None:
        """See ``Server``."""
        timeout = _timeout(spec["lease_seconds"])

        def stream() -> httpx.Response:
            url = f"steps/{spec['step_id']}/inputs/{label}/"
            with self._client.stream("GET", url, headers=_token(spec), timeout=timeout) as answer:
                if answer.is_success:
                    with target.open("wb") as file:
                        for block in answer.iter_bytes(COPY_BYTES):
                            file.write(block)
                else:
                    answer.read()
            return answer

        self._repeat(spec["lease_seconds"], stream)

    def store(self, spec: StepSpec, label: str, source: Path) -> OutputFile:
        """See ``Server``."""

        def send() -> httpx.Response:
            return self._client.put(
                f"steps/{spec['step_id']}/outputs/{label}/",
                params={"filename": source.name},
                headers={**_token(spec), "Content-Length": str(source.stat().st_size)},
                content=_blocks(source),
                timeout=_timeout(spec["lease_seconds"]),
            )

        return cast("OutputFile", self._repeat(spec["lease_seconds"], send).json())

    def log(self, spec: StepSpec, offset: int, text: bytes, *, patiently: bool = False) -> int:
        """See ``Server``; tried once unless the last piece is due, for the next piece comes soon."""
        url = f"steps/{spec['step_id']}/log/"
        request: dict[str, Any] = {"params": {"offset": offset}, "headers": _token(spec), "content": text}
        if patiently:
            return int(self._try(spec["lease_seconds"], "POST", url, **request).json()["size"])
        timeout = spec["lease_seconds"] / BEATS_PER_LEASE
        return int(self._once("POST", url, timeout=timeout, **request).json()["size"])

    def commit(self, spec: StepSpec, commit: Commit) -> None:
        """See ``Server``."""
        self._step(spec, "commit", commit)

    def fail(self, spec: StepSpec, failure: Failure) -> bool:
        """See ``Server``."""
        return bool(self._step(spec, "fail", failure).json()["retry"])

    def release(self, spec: StepSpec) -> None:
        """See ``Server``."""
        self._step(spec, "release", {})

    def _step(self, spec: StepSpec, verb: str, body: Any) -> httpx.Response:  # noqa: ANN401 - a typed dictionary
        url = f"steps/{spec['step_id']}/{verb}/"
        return self._try(spec["lease_seconds"], "POST", url, headers=_token(spec), json=body)

    def _try(self, seconds: float, method: str, url: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        timeout = _timeout(seconds)
        return self._repeat(seconds, lambda: self._client.request(method, url, timeout=timeout, **request))

    def _once(self, method: str, url: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        try:
            return _checked(self._client.request(method, url, **request))
        except httpx.TransportError as error:
            raise ServerAway(str(error)) from error

    def _repeat(self, seconds: float, send: Callable[[], httpx.Response]) -> httpx.Response:
        deadline = time.monotonic() + seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return _checked(send())
            except (httpx.TransportError, ServerAway) as error:
                if time.monotonic() + pause > deadline:
                    message = f"The server did not do it for {seconds:.0f} s: {error}"
                    raise ServerAway(message) from error
                logger.warning("%s; it is tried again in %.1f s", error, pause)
            self._pause(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _timeout(seconds: float) -> httpx.Timeout:
    """Return how long to wait for a sign of the server where all has to be done within ``seconds``.

    Where the network has swallowed the server nothing else ends the wait, and who waits for longer than the lease keeps
    a slot busy with a step that is somebody else's.
    """
    return httpx.Timeout(min(ANSWER_SECONDS, seconds), connect=min(CONNECT_SECONDS, seconds))


def _token(spec: StepSpec) -> dict[str, str]:
    return {"Authorization": f"{STEP_TOKEN_SCHEME} {spec['token']}"}


def _checked(answer: httpx.Response) -> httpx.Response:
    """Return a good answer.

    Raises:
        ServerAway: 5xx: later it may go well.
        Refused: any other refusal.
    """
    if answer.is_success:
        return answer
    text = answer.text[:500]
    if answer.is_server_error:
        message = f"{answer.request.url.path}: {answer.status_code} {text}"
        raise ServerAway(message)
    message = f"{answer.request.url.path}: {answer.status_code} {text}"
    raise Refused(message)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while block := stream.read(COPY_BYTES):
            yield block
