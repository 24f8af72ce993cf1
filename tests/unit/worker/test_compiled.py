"""Whoever compiles the kernel and whoever runs it look in the same place."""

import os
from pathlib import Path

import pytest

from qanat.worker import compiled
from qanat.worker.runners import runner_environment


@pytest.fixture(autouse=True)
def no_folder_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)


def writable(*, beside_the_kernel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: beside_the_kernel if mode == os.W_OK else Path(path).exists())


def test_the_folder_that_is_named_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "named"))

    assert runner_environment(tmp_path / "work")["NUMBA_CACHE_DIR"] == str(tmp_path / "named")
    assert compiled.mark(tmp_path / "work").parent == tmp_path / "named"


def test_beside_the_kernel_numba_finds_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writable(beside_the_kernel=True, monkeypatch=monkeypatch)

    assert "NUMBA_CACHE_DIR" not in runner_environment(tmp_path)
    assert not compiled.mark(tmp_path).is_relative_to(tmp_path)


def test_where_nobody_may_write_beside_the_kernel_the_work_folder_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writable(beside_the_kernel=False, monkeypatch=monkeypatch)

    assert runner_environment(tmp_path)["NUMBA_CACHE_DIR"] == str(tmp_path / "numba-cache")
    assert compiled.mark(tmp_path).parent == tmp_path / "numba-cache"
