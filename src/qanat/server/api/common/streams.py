"""An answer of which the application makes the beginning, and the event loop the rest (``roles/bridge.py``)."""

import math
from typing import Final

from django.http import HttpResponse

RETRY_MILLISECONDS: Final = 3_000
"""How long browsers wait before they come back."""


class EventStream(HttpResponse):
    """A stream of server-sent events.

    Args:
        reader: id of the user who reads it.
        after: the event after which to begin; None: now.
        until: when the reader's proof expires, in seconds since the epoch.
    """

    def __init__(self, *, reader: int, after: int | None, until: float = math.inf) -> None:
        """Begin the stream."""
        super().__init__(
            f"retry: {RETRY_MILLISECONDS}\n\n".encode(),
            content_type="text/event-stream",
            # Proxies must neither keep it nor wait for more of it.
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
        self.reader = reader
        self.after = after
        self.until = until
