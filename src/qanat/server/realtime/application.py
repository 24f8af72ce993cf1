"""The websocket server: which conversation is held on which path; any prefix before ``/ws/`` is tolerated."""

import logging
from contextlib import suppress
from typing import Final

from django.db import Error as DatabaseError

from qanat.server.realtime import analysis_status, queue_status
from qanat.server.realtime.answers import Answer, send_answer
from qanat.server.realtime.database import Database
from qanat.server.realtime.sockets import Gone, Message, Receive, Send, Socket
from qanat.server.realtime.watcher import Watcher

logger = logging.getLogger(__name__)

NOT_HERE: Final = Answer.json(
    426,
    '{"detail":"Only websockets are served here: /ws/v2/queue-status/ and /ws/analysis-status/."}',
    ("Upgrade", "websocket"),
)


class Application:
    """The ASGI application; one an event loop."""

    def __init__(self) -> None:
        """Serve nobody yet."""
        self._watcher = Watcher()
        self._database = Database(threads=2, name="database")
        self._logins = Database(threads=2, name="logins")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "websocket":
            await send_answer(NOT_HERE, send)
            return
        await receive()
        socket = Socket(scope, receive, send)
        with suppress(Gone):
            try:
                await self._serve(socket)
            except DatabaseError as error:
                logger.warning("The database did not answer a websocket: %s", error)
                await socket.give_up("The database does not answer: try again.")

    async def _serve(self, socket: Socket) -> None:
        path = socket.path.rstrip("/")
        if path.endswith("/ws/v2/queue-status"):
            await queue_status.serve(socket, watcher=self._watcher, database=self._database, logins=self._logins)
        elif path.endswith("/ws/analysis-status"):
            await analysis_status.serve(socket, database=self._database)
        else:
            await socket.refuse()
