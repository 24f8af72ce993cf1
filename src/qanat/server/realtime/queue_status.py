"""``/ws/v2/queue-status/``: the state of the queues, on connecting and whenever it changes (wire contract, 6.1)."""

import asyncio
import json
import time
from typing import Any

from qanat.server.accounts.authentication import Proved, proved_by
from qanat.server.api.v2.queues import show_models
from qanat.server.queues import queries
from qanat.server.realtime import messages
from qanat.server.realtime.database import Database
from qanat.server.realtime.listeners import Dismissed, Listener, Wants, present
from qanat.server.realtime.sockets import NOT_ALLOWED, NOT_JSON, NotText, Socket
from qanat.server.realtime.watcher import Watcher
from qanat.server.runs import clock

EXPIRED = "The token has expired: connect again with a new one."
SWITCHED_OFF = "The user is not active any more."


async def serve(socket: Socket, *, watcher: Watcher, database: Database, logins: Database) -> None:
    """Tell a listener the state of the queues and answer its questions, for as long as its token is good.

    Args:
        socket: the listener's connection.
        watcher: tells of changes.
        database: answers questions.
        logins: finds out whose token it is; apart, as an identity provider may have to be asked.

    Raises:
        Gone: the listener has hung up, or does not take what it is told.
    """
    proved = await logins.ask(proved_by, socket.headers)
    if proved is None:
        await socket.refuse()
        return
    await socket.accept()
    listener = Listener(user_id=proved.user.pk, wants=Wants.QUEUES)
    watcher.join(listener)
    try:
        await _converse(socket, listener, proved, database)
    except (NotText, messages.NotJson):
        await socket.close(NOT_JSON, "Messages must be JSON.")
    except Dismissed:
        await socket.close(NOT_ALLOWED, SWITCHED_OFF)
    finally:
        watcher.leave(listener)


async def _converse(socket: Socket, listener: Listener, proved: Proved, database: Database) -> None:
    hearing = asyncio.ensure_future(socket.hear())
    telling = asyncio.ensure_future(listener.take())
    try:
        while (left := proved.until - time.time()) > 0:
            await asyncio.wait({hearing, telling}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if hearing.done():
                await socket.say(await _answer(hearing.result(), listener.user_id, database))
                hearing = asyncio.ensure_future(socket.hear())
            if telling.done():
                for letter in telling.result():
                    await socket.say(letter.text)
                telling = asyncio.ensure_future(listener.take())
    finally:
        for task in (hearing, telling):
            task.cancel()
        await asyncio.gather(hearing, telling, return_exceptions=True)
    await socket.close(NOT_ALLOWED, EXPIRED)


async def _answer(text: str, user_id: int, database: Database) -> str:
    """Return the answer to a message.

    Raises:
        NotJson: it is no JSON.
        Dismissed: whoever asks is switched off.
    """
    try:
        wanted = messages.filter_of(text)
    except messages.NotUnderstood as refused:
        return messages.error(refused, now=await database.ask(clock.now))
    return json.dumps(await database.ask(_filtered, user_id, wanted))


def _filtered(user_id: int, wanted: list[int]) -> dict[str, Any]:
    return queries.queue_status(present(user_id), show_models=show_models, only=wanted)
