"""The websocket server (wire contract, section 6.1): a snapshot of the queues on accept, and again when runs change.

The engine's event table is the source: while anybody listens, it is asked once a second whether it has grown.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from asgiref.sync import sync_to_async

from qanat.server.accounts.authentication import still_there, user_of
from qanat.server.api.v2.queues import show_models
from qanat.server.queues import queries

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PATH: Final = "/ws/v2/queue-status/"
LOOK_EVERY_SECONDS: Final = 1.0
REFUSED: Final = 1000


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """Serve one connection."""
    if scope["type"] != "websocket":
        return
    await receive()
    headers = {name.decode("latin-1"): value.decode(errors="replace") for name, value in scope["headers"]}
    user = await sync_to_async(user_of)(headers)
    if not scope["path"].endswith(PATH) or user is None:
        await send({"type": "websocket.close", "code": REFUSED})
        return
    await send({"type": "websocket.accept"})
    listener = asyncio.create_task(_until_gone(receive))
    seen = -1
    while not listener.done():
        latest = await sync_to_async(queries.latest_event)()
        if latest != seen:
            seen = latest
            user = await sync_to_async(still_there)(user)
            if user is None:
                await send({"type": "websocket.close", "code": REFUSED})
                break
            document = await sync_to_async(queries.queue_status)(user, show_models=show_models)
            await send({"type": "websocket.send", "text": json.dumps(document)})
        await asyncio.wait([listener], timeout=LOOK_EVERY_SECONDS)
    listener.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        continue
