"""Small files travel along with the messages between worker and server, in base64; see ``worker_protocol``."""

import base64
from typing import Final

SMALL_BYTES: Final = 2**16
"""What is larger is a request of its own."""
MOST_ALONG_BYTES: Final = 2**20
"""Of small files, how much at most goes along with one claim, commit or failure; the rest goes as if it were large."""


class Room:
    """What one message still has room for."""

    def __init__(self) -> None:
        """Begin with an empty message."""
        self._left = MOST_ALONG_BYTES

    def takes(self, size: int) -> bool:
        """Say whether a file of ``size`` bytes goes along; if so, it has taken its room."""
        if size > min(SMALL_BYTES, self._left):
            return False
        self._left -= size
        return True


def packed(content: bytes) -> str:
    """Return bytes as a message has them."""
    return base64.b64encode(content).decode()


def unpacked(content: str) -> bytes:
    """Return the bytes that a message has.

    Raises:
        TypeError: they are no text.
        ValueError: it is no base64.
    """
    return base64.b64decode(content, validate=True)
