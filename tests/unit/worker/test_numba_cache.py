"""numba's cache on disk may make a step faster; it must not make it fail."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from numba import njit

from qanat.worker.kernel import numba_cache

CODE = """
from numba import njit


@njit(cache=True)
def apply(value, function):
    return function(value)


@njit(cache=True)
def double(value):
    return 2 * value


@njit(cache=True)
def fourfold(value):
    return double(double(value))


@njit(cache=True)
def count(most):
    for value in range(most):
        yield value


@njit(cache=True)
def total(most):
    found = 0
    for value in count(most):
        found += value
    return found
"""


@pytest.fixture
def compiled(tmp_path: Path) -> ModuleType:
    """A module with functions that numba caches beside it."""
    (tmp_path / "compiled.py").write_text(CODE)
    return imported(tmp_path)


def imported(folder: Path) -> ModuleType:
    """Import the module as a new process does."""
    path = folder / "compiled.py"
    spec = importlib.util.spec_from_file_location("compiled", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    numba_cache.settle()
    return module


def plus(amount: int) -> Callable[[int], int]:
    @njit  # type: ignore[untyped-decorator]
    def add(value: int) -> int:
        return value + amount

    return add  # type: ignore[no-any-return]


def entries(folder: Path, function: str) -> int:
    return len(list(folder.glob(f"__pycache__/compiled.{function}*.nbc")))


def test_what_can_be_found_again_is_saved(compiled: ModuleType, tmp_path: Path) -> None:
    assert compiled.double(2) == 4

    assert entries(tmp_path, "double") == 1


def test_what_is_made_anew_each_time_is_not(compiled: ModuleType, tmp_path: Path) -> None:
    assert [compiled.apply(1, plus(amount)) for amount in (1, 2)] == [2, 3]

    assert entries(tmp_path, "apply") == 0


@pytest.mark.parametrize("error", [ReferenceError("underlying object has vanished"), OSError(28, "No space left")])
def test_a_cache_that_cannot_be_written_costs_no_result(
    compiled: ModuleType, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(numba_cache, "_save_overload", fail)

    assert compiled.double(21) == 42


def test_what_is_cached_is_loaded_and_not_compiled(compiled: ModuleType, tmp_path: Path) -> None:
    assert (compiled.double(2), compiled.double(0.5)) == (4, 1.0)
    fresh = imported(tmp_path)

    assert numba_cache.load_all({"compiled"}) >= 2

    assert len(fresh.double.signatures) == 2
    assert sum(fresh.double.stats.cache_hits.values()) == 2
    assert not fresh.double.stats.cache_misses


def test_what_was_loaded_can_be_compiled_against(compiled: ModuleType, tmp_path: Path) -> None:
    assert compiled.double(2) == 4
    fresh = imported(tmp_path)
    numba_cache.load_all({"compiled"})

    assert fresh.fourfold(3) == 12

    assert sum(fresh.fourfold.stats.cache_misses.values()) == 1


def test_a_cache_that_cannot_be_read_is_not_loaded(compiled: ModuleType, tmp_path: Path) -> None:
    assert compiled.double(2) == 4
    fresh = imported(tmp_path)
    for index in tmp_path.glob("__pycache__/*.nbi"):
        index.write_bytes(b"")

    numba_cache.load_all({"compiled"})

    assert not fresh.double.signatures


@pytest.mark.parametrize("loaded_before", [False, True])
def test_callers_are_compiled_against_a_generator_of_which_only_the_beginning_is_cached(
    compiled: ModuleType, tmp_path: Path, *, loaded_before: bool
) -> None:
    assert list(compiled.count(3)) == [0, 1, 2]
    assert entries(tmp_path, "count") == 1
    fresh = imported(tmp_path)
    if loaded_before:
        numba_cache.load_all({"compiled"})

    assert fresh.total(4) == 6


def test_a_generator_that_is_called_by_itself_is_cached(compiled: ModuleType, tmp_path: Path) -> None:
    assert list(compiled.count(3)) == [0, 1, 2]
    fresh = imported(tmp_path)

    assert list(fresh.count(3)) == [0, 1, 2]

    assert not fresh.count.stats.cache_misses
