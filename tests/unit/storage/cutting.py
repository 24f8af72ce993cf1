"""A connection to a store on which answers are cut off: not all of the network between us and a store is ours."""

import itertools
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

BLOCK_BYTES = 2**16
SMALL_BYTES = 1000
END_OF_HEAD = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

Cut = Callable[[bytes, int], int]
"""Says of an answer's head and the length of its body how many bytes of both get through."""


def within_the_head(head: bytes, length: int) -> int:
    """Cut off before the head says how long the body is."""
    found = LENGTH.search(head)
    return found.start() if found else len(head) + length


def within_the_body(head: bytes, length: int) -> int:
    """Cut off in the midst of the body."""
    return len(head) + length // 2


def once(cut: Cut, *, after: int) -> Cut:
    """Return what cuts as ``cut`` does, but only one answer, after so many with a body worth the name got through."""
    large = itertools.count()

    def cut_once(head: bytes, length: int) -> int:
        if length > SMALL_BYTES and next(large) == after:
            return cut(head, length)
        return len(head) + length

    return cut_once


@contextmanager
def cutting(endpoint: str, cut: Cut) -> Iterator[str]:
    """Yield an address at which a store answers requests without bodies, one a connection, as ``cut`` has it."""
    parts = urlsplit(endpoint)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            request = _head(self.request)
            if not request:
                return
            with socket.create_connection((parts.hostname or "", parts.port or 80)) as store:
                store.sendall(request)
                answer = _head(store)
                head = answer[: answer.index(END_OF_HEAD) + len(END_OF_HEAD)]
                found = LENGTH.search(head)
                length = int(found[1]) if found and not request.startswith(b"HEAD") else 0
                left = cut(head, length)
                while answer and left > 0:
                    self.request.sendall(answer[:left])
                    left -= len(answer)
                    answer = store.recv(BLOCK_BYTES) if left > 0 else b""

    with socketserver.ThreadingTCPServer((parts.hostname or "", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield parts._replace(netloc=f"{parts.hostname}:{server.server_address[1]}").geturl()
        finally:
            server.shutdown()
            thread.join()


def _head(connection: socket.socket) -> bytes:
    """Return what comes up to the end of a head, and what came with it."""
    received = b""
    while END_OF_HEAD not in received and (block := connection.recv(BLOCK_BYTES)):
        received += block
    return received
