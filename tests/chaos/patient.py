"""A client that gives nothing up: what fails on its way is asked again."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

from qanat.cli.client import Client, ServerAway, ServerRefused

LIMIT_SECONDS: Final = 180.0
PAUSE_SECONDS: Final = 0.5
Answer = TypeVar("Answer")


class PatientClient(Client):
    """The V2 API of a server that may be away, or hang up in the middle, at any time.

    Everything is asked again, whether or not it may have been done: fit for what can be done twice.
    """

    def __init__(self, url: str) -> None:
        """Talk to the server at ``url``."""
        super().__init__(url)
        self.errors: list[str] = []
        """Answers that say that the server has made a mistake."""

    def login(self, username: str, password: str) -> None:
        """See ``Client``."""
        self._patiently(lambda: super(PatientClient, self).login(username, password))

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 - JSON
        """See ``Client``."""
        return self._patiently(lambda: super(PatientClient, self).get(path, **query))

    def post(self, path: str, body: Any = None) -> Any:  # noqa: ANN401 - JSON
        """See ``Client``."""
        return self._patiently(lambda: super(PatientClient, self).post(path, body))

    def upload(self, path: str, file: Path) -> None:
        """See ``Client``."""
        self._patiently(lambda: super(PatientClient, self).upload(path, file))

    def download(self, path: str, target: Path) -> Path | None:
        """See ``Client``."""
        return self._patiently(lambda: super(PatientClient, self).download(path, target))

    def post_once(self, path: str) -> None:
        """Post, whatever comes of it but a clear refusal: the caller looks whether it was done.

        Raises:
            ServerRefused: it was not.
        """
        try:
            super().post(path)
        except ServerAway:
            return
        except ServerRefused as refused:
            if not self._is_outage(refused):
                raise

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        deadline = time.monotonic() + LIMIT_SECONDS
        while True:
            try:
                return ask()
            except ServerAway:
                if time.monotonic() > deadline:
                    raise
            except ServerRefused as refused:
                if not self._is_outage(refused) or time.monotonic() > deadline:
                    raise
            time.sleep(PAUSE_SECONDS)

    def _is_outage(self, refused: ServerRefused) -> bool:
        if refused.status == httpx.codes.INTERNAL_SERVER_ERROR:
            self.errors.append(str(refused))
        return refused.status >= httpx.codes.INTERNAL_SERVER_ERROR
