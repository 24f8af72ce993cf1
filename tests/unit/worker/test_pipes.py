"""Pipes of a pipeline are as wide as the host has room for."""

import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qanat.worker import pipes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has pipes of any size")
PAGE = os.sysconf("SC_PAGE_SIZE")
NOBODY = 65534


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_pipe_is_made_wider_and_keeps_what_is_in_it(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"loss")
    pipes.widen(*pipe, size=2**18)

    assert fcntl.fcntl(pipe[0], fcntl.F_GETPIPE_SZ) == 2**18
    assert os.read(pipe[0], 10) == b"loss"


def test_a_wider_pipe_is_left(pipe: tuple[int, int]) -> None:
    fcntl.fcntl(pipe[0], fcntl.F_SETPIPE_SZ, 2**19)
    pipes.widen(*pipe, size=2**18)

    assert fcntl.fcntl(pipe[0], fcntl.F_GETPIPE_SZ) == 2**19


def test_what_is_no_pipe_is_left(tmp_path: Path) -> None:
    with (tmp_path / "losses").open("wb") as file:
        pipes.widen(file.fileno(), size=2**18)


def test_what_the_system_refuses_is_left(pipe: tuple[int, int]) -> None:
    user = os.geteuid()
    too_wide = 2 * int(Path("/proc/sys/fs/pipe-max-size").read_text())
    if user == 0:
        os.seteuid(NOBODY)  # Root may have any.
    try:
        pipes.widen(*pipe, size=too_wide)
    finally:
        os.seteuid(user)

    assert fcntl.fcntl(pipe[0], fcntl.F_GETPIPE_SZ) < too_wide


@pytest.mark.parametrize(
    ("allowed", "cores", "width"),
    [
        ("16384", 2, 2**18),
        ("16384", 24, 32 * PAGE),
        ("16384", 4000, 0),
        ("0", 4000, 2**18),
        ("", 2, 0),
    ],
)
def test_all_cores_find_room_in_half_of_what_is_allowed(
    allowed: str, cores: int, width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "soft").write_text(allowed)
    monkeypatch.setattr(pipes, "ALLOWED", tmp_path / "soft")
    monkeypatch.setattr(os, "cpu_count", lambda: cores)

    assert pipes.width() == width


def test_a_system_without_such_a_limit_keeps_its_pipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "ALLOWED", tmp_path / "none")

    assert pipes.width() == 0
