"""How an event loop asks the database: in a few threads, which keep their connections, for any number of listeners."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import close_old_connections

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")


class Database:
    """A few threads in which functions ask the database."""

    def __init__(self, *, threads: int, name: str) -> None:
        """Have ``threads`` of them at most; they start when they are needed."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def ask(
        self, function: Callable[Parameters, Answer], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Answer:
        """Return what the function answers, or raise what it raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _call, partial(function, *args, **kwargs))


def _call(function: Callable[[], Answer]) -> Answer:
    close_old_connections()
    try:
        return function()
    finally:
        close_old_connections()
