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

**Callers get no generator from the cache.** numba caches how a generator begins, and not how it goes on; whoever
compiles a caller against one that came from the cache fails with a ``KeyError``. That is so for ever where a process
was killed after it had saved a generator and before it saved the caller, as one of a cancelled run is.

**Loaded once.** A process that others are forked from can load all there is beforehand. Of each variant numba keeps the
bitcode as well, for those who compile against it; it is parsed when that happens.
"""
# ruff: noqa: SLF001 - numba offers no other names for all this

import fcntl
import gc
import inspect
import logging
import pickle
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numba import types
from numba.core.caching import Cache, NullCache
from numba.core.codegen import CPUCodeLibrary as Library
from numba.core.codegen import ll as llvm
from numba.core.dispatcher import Dispatcher
from numba.core.errors import NumbaError
from numba.core.typing.typeof import typeof_impl

logger = logging.getLogger(__name__)

_save_overload = Cache.save_overload
_compile = Dispatcher.compile
_get_call_template = Dispatcher.get_call_template
_unserialize = Library._unserialize
_get_module_for_linking = Library._get_module_for_linking
_held: set[Path] = set()


def settle() -> None:
    """Have numba heed all of the above, in this process and its forks."""
    Cache.save_overload = _save
    Dispatcher.compile = _compile_once
    Dispatcher.get_call_template = _called_by_compiled


def load_all(packages: Collection[str]) -> int:
    """Load whatever the cache has of functions of ``packages`` that are imported; return how many variants it was.

    A process that is forked from this one need not load them any more.
    """
    loaded = 0
    Library._unserialize = classmethod(_without_bitcode)
    Library._get_module_for_linking = _bitcode_when_needed
    # By type: to ask a proxy of something that is gone for its class is an error.
    for function in [found for found in gc.get_objects() if issubclass(type(found), Dispatcher)]:
        index = getattr(function._cache, "_cache_file", None)
        ours = function.py_func.__module__.partition(".")[0] in packages
        if index is None or not ours or not function._can_compile:
            continue
        for key in _keys(index):
            signature = key[0]
            # Only what was compiled for this very processor, or it would be compiled now.
            if key != function._cache._index_key(signature, function.targetctx.codegen()):
                continue
            try:
                function.compile(signature)
            except (NumbaError, ReferenceError, OSError) as error:
                logger.debug("%s of %s is not loaded: %s", signature, function, error)
            else:
                loaded += 1
    return loaded


def know_types() -> None:
    """Find out beforehand how numba tells the types of what the kernel's functions are called with.

    It looks that up by class, and remembers; to find the entry for an array takes a process two milliseconds, and
    a copy of five hundred pages of what it shares with others.
    """
    for kind in (np.ndarray, np.memmap, *np.sctypeDict.values(), bool, int, float, str, bytes, tuple, type(None)):
        typeof_impl.dispatch(kind)


def _keys(index: Any) -> Collection[Any]:  # noqa: ANN401 - numba's
    try:
        found: dict[Any, Any] = index._load_index()
    except (OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
        logger.warning("numba's cache cannot be read, functions are compiled when they are needed: %s", error)
        return ()
    return found


def _without_bitcode(_: type[Library], codegen: Any, state: Any) -> Any:  # noqa: ANN401 - numba's
    """Load machine code and leave its bitcode unparsed: a megabyte a variant, for those who compile against it."""
    library = _unserialize(codegen, state)
    _, kind, data = state
    if kind == "object":
        library._shared_module, library.bitcode = None, data[1]
    return library


def _bitcode_when_needed(self: Library) -> Any:  # noqa: ANN401 - LLVM's
    if self._shared_module is None and hasattr(self, "bitcode"):
        self._shared_module = llvm.parse_bitcode(self.bitcode)
    return _get_module_for_linking(self)


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


def _called_by_compiled(self: Dispatcher, args: Any, kws: Any) -> Any:  # noqa: ANN401 - numba's
    if inspect.isgeneratorfunction(self.py_func) and not isinstance(self._cache, NullCache):
        # From now on it is compiled here, in this process, whole.
        self._cache = NullCache()
        self._reset_overloads()
    return _get_call_template(self, args, kws)


@contextmanager
def _alone(function: Dispatcher) -> Iterator[None]:
    """Be the only process that compiles a function; the lock goes with the process, however it ends."""
    folder = function._cache.cache_path
    path = Path(folder, f"{function._cache._impl.filename_base}.lock") if folder else None
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
