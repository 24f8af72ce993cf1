"""How many events of a step's losses are done: what the kernel says of it, counted and written down.

The kernel's loss tools post ``{"events_total": n}`` once and ``{"events_complete": n}`` as they go, to the address in
``OASIS_ANALYSIS_STATUS_URL`` (wire contract, section 6.3). Here the address is the runner's own, on this host alone and
with a name that nobody else knows; the supervisor reads the file and passes it on with its heartbeats.
"""

import json
import logging
import secrets
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from qanat.domain.chunking import share_of_events
from qanat.worker.run_dir import PROGRESS

logger = logging.getLogger(__name__)

MOST_BYTES: Final = 10_000


class Count:
    """The events done and in all, in a file."""

    def __init__(self, path: Path, *, index: int, count: int) -> None:
        """Count for one of ``count`` chunks; each has its share of the events, dealt in turn."""
        self._path = path
        self._index = index
        self._count = count
        self._done = self._total = 0
        self._lock = threading.Lock()

    def heed(self, message: dict[str, object]) -> None:
        """Take in what the kernel says, and write down what is known now.

        Raises:
            ValueError: it is no number.
        """
        with self._lock:
            if "events_total" in message:
                self._total = share_of_events(int(str(message["events_total"])), index=self._index, count=self._count)
            if "events_complete" in message:
                self._done += int(str(message["events_complete"]))
            known = {"events_done": min(self._done, self._total), "events_total": self._total}
            fresh = self._path.with_suffix(".new")
            fresh.write_text(json.dumps(known))
            fresh.replace(self._path)


def listen(directory: Path, *, index: int, count: int) -> str:
    """Count the events of a chunk from now on, as long as this process lives; return where the kernel is to post."""
    events = Count(directory / PROGRESS, index=index, count=count)
    path = f"/{secrets.token_urlsafe()}"

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take in a message."""
            body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), MOST_BYTES))
            try:
                if self.path == path:
                    events.heed(json.loads(body))
            except (ValueError, TypeError, OSError) as error:
                logger.warning("Progress is not written down: %s", error)
            # Whatever it was: a tool that complains of an answer fails its step.
            self.send_response(HTTPStatus.NO_CONTENT)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class' name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def serve() -> None:
        while True:  # ``serve_forever`` would look twice a second whether it is to end.
            server.handle_request()

    threading.Thread(target=serve, name="progress", daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}{path}"
