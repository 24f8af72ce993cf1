"""A client of the HTTP contract, for this command's own use: works against any server that speaks it."""

import mimetypes
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx

from qanat.cli.errors import CommandFailed

TIMEOUT = httpx.Timeout(60.0, connect=5.0)
TYPES = {
    ".csv": "text/csv",
    ".parquet": "application/octet-stream",
    ".pq": "application/octet-stream",
    ".gz": "application/gzip",
    ".zip": "application/zip",
    ".bz2": "application/x-bzip2",
    ".json": "application/json",
}
FORBIDDEN = 403
PATIENCE_SECONDS = 60.0
"""How long to wait for a server that is being restarted."""
LOOK_AGAIN_SECONDS = 0.5


class ServerRefused(CommandFailed):
    """The server said no; the message has its words."""

    def __init__(self, answer: httpx.Response) -> None:
        """Read the refusal."""
        self.status = answer.status_code
        super().__init__(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {_words(answer)}")


class ServerAway(CommandFailed):
    """Nobody answers."""


class Client:
    """The V2 API of a server, logged in."""

    def __init__(self, url: str) -> None:
        """Talk to the server at ``url``, with or without ``/api/``."""
        base = url.rstrip("/")
        self.url = base
        try:
            self._http = httpx.Client(base_url=f"{base}/", timeout=TIMEOUT, follow_redirects=True)
        except httpx.InvalidURL as error:
            message = f"'{url}' is no address of a server ({error}): give one such as http://127.0.0.1:8000."
            raise CommandFailed(message) from error
        self._refresh: str | None = None

    def __enter__(self) -> Self:
        """Use the client for a while."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self._http.close()

    def login(self, username: str, password: str) -> None:
        """Log in.

        Raises:
            ServerRefused: the credentials are wrong.
            ServerAway: nobody answers.
        """
        body = {"username": username, "password": password}
        self._keep(self._json(self._send("POST", "access_token/", json=body)))

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON at ``v2/{path}``."""
        return self._json(self._call("GET", path, params=query))

    def post(self, path: str, body: Any = None) -> Any:  # noqa: ANN401 - JSON
        """Post JSON to ``v2/{path}`` and return the answer."""
        return self._json(self._call("POST", path, json={} if body is None else body))

    def upload(self, path: str, file: Path) -> None:
        """Upload a file to ``v2/{path}``."""
        content_type = TYPES.get(file.suffix.lower()) or mimetypes.guess_type(file.name)[0] or "text/csv"
        with file.open("rb") as stream:
            self._call("POST", path, files={"file": (file.name, stream, content_type)})

    def download(self, path: str, target: Path) -> Path | None:
        """Save the file at ``v2/{path}``; return None where there is none."""
        with self._stream(path) as answer:
            if answer.status_code == httpx.codes.NOT_FOUND:
                return None
            if not answer.is_success:
                answer.read()
                raise ServerRefused(answer)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                for block in answer.iter_bytes():
                    file.write(block)
        return target

    @contextmanager
    def _stream(self, path: str) -> Iterator[httpx.Response]:
        try:
            with self._http.stream("GET", f"v2/{path}") as answer:
                yield answer
        except httpx.TransportError as error:
            raise ServerAway(self._nobody(error)) from error

    def _call(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        """Ask; a server that is away for a moment is waited for where asking again cannot do anything twice."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self._ask(method, path, **request)
            except (ServerAway, ServerRefused) as error:
                if not _may_be_asked_again(method, error) or time.monotonic() > deadline:
                    raise
            time.sleep(LOOK_AGAIN_SECONDS)

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        try:
            return self._send(method, f"v2/{path}", **request)
        except ServerRefused as refused:
            if refused.status != FORBIDDEN or self._refresh is None or "files" in request:
                raise
            headers = {"Authorization": f"Bearer {self._refresh}"}
            self._keep(self._send("POST", "refresh_token/", headers=headers).json())
            return self._send(method, f"v2/{path}", **request)

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        try:
            answer = self._http.request(method, path, **request)
        except httpx.TransportError as error:
            raise ServerAway(self._nobody(error)) from error
        if not answer.is_success:
            raise ServerRefused(answer)
        return answer

    def _nobody(self, error: Exception) -> str:
        return f"No server answers at {self.url} ({error}): start one with `qanat up`, or give --server."

    def _json(self, answer: httpx.Response) -> Any:  # noqa: ANN401 - JSON
        try:
            return answer.json()
        except ValueError as error:
            message = f"What answers at {answer.url} is no server of this kind: it sent no JSON. Look at --server."
            raise CommandFailed(message) from error

    def _keep(self, tokens: dict[str, Any]) -> None:
        self._refresh = tokens.get("refresh_token", self._refresh)
        self._http.headers["Authorization"] = f"Bearer {tokens['access_token']}"


def _may_be_asked_again(method: str, error: ServerAway | ServerRefused) -> bool:
    if isinstance(error, ServerRefused):
        return method == "GET" and error.status >= httpx.codes.INTERNAL_SERVER_ERROR
    return method == "GET" or isinstance(error.__cause__, httpx.ConnectError)  # Then nothing was sent.


def _words(answer: httpx.Response) -> str:
    try:
        document = answer.json()
    except ValueError:
        return answer.text[:300] if answer.headers.get("Content-Type", "").startswith("text/plain") else ""
    if isinstance(document, dict):
        return "; ".join(f"{key}: {_flat(value)}" for key, value in document.items())
    return _flat(document)


def _flat(value: Any) -> str:  # noqa: ANN401 - JSON
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
