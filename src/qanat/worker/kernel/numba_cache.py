"""numba's cache on disk may make a step faster; it must not make it fail, and nothing is compiled twice at once.

**What cannot be found again is not saved.** The kernel's built-in geo grid lookup compiles, with ``cache=True``, a
function that takes others as arguments which are made anew in each process. Such an entry can never be found again, so
the cache grows by one with each use; and once it holds some sixty, saving the next fails, because numba keeps only the
last 128 of the functions that the earlier entries refer to: ``ReferenceError: underlying object has vanished``. From
then on every lookup would fail, on each machine in its turn.

**What cannot be saved is used once.** A disk that is full, or a folder that cannot be written, would fail a step that
has all it needs.

**Compiled once.** The kernel starts many processes that need the same functions at the same moment, and each would
compile them. Whoever comes second waits, and finds them in the cache. Functions are locked along their calls, callers
before callees, so nobody waits in a circle.
"""

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numba import types
from numba.core.caching import Cache
from numba.core.dispatcher import Dispatcher

logger = logging.getLogger(__name__)

_save_overload = Cache.save_overload
_compile = Dispatcher.compile
_held: set[Path] = set()


def settle() -> None:
    """Have numba heed all of the above, in this process and its forks."""
    Cache.save_overload = _save
    Dispatcher.compile = _compile_once


def _save(self: Cache, sig: Any, data: Any) -> None:  # noqa: ANN401 - numba's
    if any(_is_made_anew(argument) for argument in _arguments(sig)):
        return
    try:
        _save_overload(self, sig, data)
    except (ReferenceError, OSError) as error:
        logger.warning("numba's cache is not written, compiled code is used once: %s", error)


def _compile_once(self: Dispatcher, sig: Any) -> Any:  # noqa: ANN401 - numba's
    with _alone(self):
        return _compile(self, sig)


@contextmanager
def _alone(function: Dispatcher) -> Iterator[None]:
    """Be the only process that compiles a function; the lock goes with the process, however it ends."""
    folder = function._cache.cache_path  # noqa: SLF001 - numba has no other name for it
    path = Path(folder, f"{function._cache._impl.filename_base}.lock") if folder else None  # noqa: SLF001
    if path is None or path in _held:  # not cached, or it calls itself
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("a")
    except OSError:  # nothing can be shared through a folder that cannot be written
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _held.add(path)
        try:
            yield
        finally:
            _held.discard(path)


def _arguments(sig: Any) -> tuple[types.Type, ...]:  # noqa: ANN401 - a signature, or the types of its arguments
    arguments: tuple[types.Type, ...] = getattr(sig, "args", sig)
    return arguments


def _is_made_anew(argument: types.Type) -> bool:
    """Say whether an argument is a function that is local to a call of another."""
    return isinstance(argument, types.Dispatcher) and "<locals>" in argument.dispatcher.py_func.__qualname__
