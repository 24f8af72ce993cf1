"""A websocket connection, with an end to what is waited for."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SEND_SECONDS: Final = 30.0
"""Whoever takes nothing for so long is sent away."""
REFUSED: Final = 1000
"""The channel's code of a refused handshake; clients see HTTP 403."""
NOT_ALLOWED: Final = 1008
TRY_AGAIN: Final = 1013
UNAVAILABLE: Final = 503
NOT_JSON: Final = 4011
"""As the clients of the reference platform know it."""


class Gone(Exception):
    """The client has hung up, or does not take what it is sent."""


class NotText(Exception):
    """The client has sent bytes."""


class Socket:
    """One connection."""

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Be asked for a connection."""
        self.path: str = scope["path"]
        self.headers = {name.decode("latin-1"): value.decode(errors="replace") for name, value in scope["headers"]}
        self._accepted = False
        self._receive = receive
        self._send = send

    async def refuse(self) -> None:
        """Refuse the handshake."""
        await self._pass_on({"type": "websocket.close", "code": REFUSED})

    async def accept(self) -> None:
        """Complete the handshake."""
        await self._pass_on({"type": "websocket.accept"})
        self._accepted = True

    async def hear(self) -> str:
        """Return the client's next message.

        Raises:
            Gone: it has hung up.
            NotText: it is no text.
        """
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise Gone
        text = message.get("text")
        if text is None:
            raise NotText
        return str(text)

    async def say(self, text: str) -> None:
        """Send a message.

        Raises:
            Gone: the client does not take it.
        """
        await self._pass_on({"type": "websocket.send", "text": text})

    async def close(self, code: int, reason: str = "") -> None:
        """End the connection."""
        await self._pass_on({"type": "websocket.close", "code": code, "reason": reason})

    async def give_up(self, reason: str) -> None:
        """End the connection, or refuse it, because of what ails us: the client may come back.

        Raises:
            Gone: the client does not hear it.
        """
        if self._accepted:
            await self.close(TRY_AGAIN, reason)
            return
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"retry-after", b"1")]
        await self._pass_on({"type": "websocket.http.response.start", "status": UNAVAILABLE, "headers": headers})
        await self._pass_on({"type": "websocket.http.response.body", "body": reason.encode()})

    async def _pass_on(self, message: Message) -> None:
        try:
            await asyncio.wait_for(self._send(message), SEND_SECONDS)
        except (TimeoutError, OSError):  # of the network: ASGI servers raise a kind of OSError where a client is gone
            raise Gone from None
