"""Whole answers over HTTP that an event loop gives by itself."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer that is ready."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes

    @classmethod
    def json(cls, status: int, text: str, *headers: tuple[str, str]) -> Self:
        """Return an answer of a document."""
        return cls(status=status, headers=[("Content-Type", "application/json"), *headers], body=text.encode())


async def send_answer(answer: Answer, send: Send) -> None:
    """Send an answer, and say how long it is."""
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    if not any(name == b"content-length" for name, _ in headers):
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
