"""The log files of a platform do not grow for ever, and nothing that was logged is lost when they begin anew."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qanat.cli.up import log_files
from qanat.cli.up.log_files import KEPT, begin_anew, shorten

WRITER = """
import os, sys
for line in sys.stdin:
    os.write(1, line.encode())
    os.write(2, b"\\n")
"""


def everything(log: Path) -> list[str]:
    """Return the lines of a log and of its older ones, the oldest first."""
    older = [log.with_name(f"{log.name}.{number}") for number in range(KEPT, 0, -1)]
    return [line for file in (*older, log) if file.exists() for line in file.read_text().splitlines()]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Have a process that keeps the log open write a line to it."""
    with (tmp_path / "a.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=log, stderr=subprocess.PIPE, text=True
        )
    assert process.stdin is not None
    assert process.stderr is not None
    to, done = process.stdin, process.stderr

    def write(line: str) -> None:
        to.write(f"{line}\n")
        to.flush()
        assert done.readline()

    yield write
    process.communicate()


def test_a_process_goes_on_writing_to_a_log_that_begins_anew(tmp_path: Path, write: Callable[[str], None]) -> None:
    log = tmp_path / "a.log"

    for line in "abc":
        write(line)
        assert shorten(log, largest=1)
    write("d")

    assert everything(log) == ["a", "b", "c", "d"]
    assert log.read_bytes() == b"d\n"


def test_what_is_written_while_it_is_copied_is_kept(
    tmp_path: Path, write: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "a.log"
    write("a")
    monkeypatch.setattr(log_files, "_make_room", lambda _: write("b"))

    assert shorten(log, largest=1)

    assert (everything(log), log.read_bytes()) == (["a", "b"], b"")


def test_a_log_that_is_small_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("a\n")

    assert not shorten(log, largest=2)
    assert list(tmp_path.iterdir()) == [log]


def test_of_the_older_ones_the_latest_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    for life in range(KEPT + 3):
        begin_anew(log)
        log.write_text(f"{life}\n")

    assert everything(log) == ["2", "3", "4", "5"]
    assert len(list(tmp_path.iterdir())) == KEPT + 1


def test_killed_before_it_was_emptied_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "a.log"
    log.write_text("a\nb\n")

    class Killed(BaseException):
        """In place of a signal."""

    def kill(log: Path) -> None:
        raise Killed

    monkeypatch.setattr(log_files, "_make_room", kill)
    with pytest.raises(Killed):
        shorten(log, largest=1)
    monkeypatch.undo()

    assert everything(log) == ["a", "b"]
    assert shorten(log, largest=1)
    assert (everything(log), log.read_text()) == (["a", "b"], "")


def test_where_there_is_no_room_for_a_copy_the_log_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "a.log"
    log.write_text("a\nb\n")

    def full(source: object, target: object, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)

    assert not shorten(log, largest=1)
    assert [path.name for path in tmp_path.iterdir()] == ["a.log"]
    assert "No space left" in caplog.text
