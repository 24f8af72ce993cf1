"""A pipe that tells forks when the process which made it is gone, however it went."""

import os
import threading


class Lifeline:
    """To be made by the parent; only the parent holds the writing end, and never writes."""

    def __init__(self) -> None:
        """Open the pipe."""
        self._reader, self._writer = os.pipe()

    def hold(self) -> None:
        """End this process, a fork, at once when the one that made the lifeline ends."""
        os.close(self._writer)
        threading.Thread(target=self._watch, name="watch parent", daemon=True).start()

    def _watch(self) -> None:
        os.read(self._reader, 1)
        os._exit(0)
