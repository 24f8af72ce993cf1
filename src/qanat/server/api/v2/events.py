"""What happens to runs, as it happens, for browsers; ours alone (docs/reference/push.md)."""

from typing import TYPE_CHECKING, Final, cast

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from qanat.server.accounts.authentication import good_until
from qanat.server.api.common.described import Operation
from qanat.server.api.common.policy import USERS, Endpoint
from qanat.server.api.common.streams import EventStream

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from qanat.server.accounts.authentication import Claims

EVENT_STREAM: Final = {"type": "string", "description": "Server-sent events, without end."}
LONGEST_NUMBER: Final = 18
"""Digits: as many as the database's numbers can have."""


class Events(Endpoint):
    """``events/``."""

    policy = USERS

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"get": Operation(gives=EVENT_STREAM, gives_type="text/event-stream")}

    def get(self, request: Request) -> EventStream:
        """Begin the stream, after the event that the browser says it had last."""
        reader = cast("User", request.user).pk
        until = good_until(cast("Claims | None", request.auth))
        return EventStream(reader=reader, after=_last_event(request), until=until)


def _last_event(request: Request) -> int | None:
    given = request.headers.get("Last-Event-ID", "")
    if not given:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= LONGEST_NUMBER):
        message = "Last-Event-ID must be the id of an event of this stream."
        raise ValidationError({"Last-Event-ID": [message]})
    return int(given)
