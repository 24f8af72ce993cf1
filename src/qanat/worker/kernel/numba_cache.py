"""numba's cache on disk may make a step faster; it must not make it fail.

The kernel's built-in geo grid lookup compiles, with ``cache=True``, a function that takes others as arguments which are
made anew in each process. Such an entry can never be found again, so the cache grows by one with each use; and once it
holds some sixty, saving the next fails, because numba keeps only the last 128 of the functions that the earlier entries
refer to: ``ReferenceError: underlying object has vanished``. From then on every lookup would fail, on each machine in
its turn. A disk that is full, or a folder that cannot be written, would fail a step that has all it needs, too.
"""

import logging
from typing import Any

from numba import types
from numba.core.caching import Cache

logger = logging.getLogger(__name__)

_save_overload = Cache.save_overload


def settle() -> None:
    """Save nothing in numba's cache that cannot be found again, and take it lightly where nothing can be saved."""
    Cache.save_overload = _save


def _save(self: Cache, sig: Any, data: Any) -> None:  # noqa: ANN401 - numba's
    if any(_is_made_anew(argument) for argument in getattr(sig, "args", sig)):
        return
    try:
        _save_overload(self, sig, data)
    except (ReferenceError, OSError) as error:
        logger.warning("numba's cache is not written, compiled code is used once: %s", error)


def _is_made_anew(argument: types.Type) -> bool:
    """Say whether an argument is a function that is local to a call of another."""
    return isinstance(argument, types.Dispatcher) and "<locals>" in argument.dispatcher.py_func.__qualname__
