"""The log files of a platform do not grow for ever, and nothing that was logged is lost when they begin anew."""

import subprocess
import sys
from pathlib import Path

import pytest

from qanat.cli.up import log_files
from qanat.cli.up.log_files import KEPT, begin_anew, shorten

WRITER = """
import os, sys
for number in range(int(sys.argv[1])):
    os.write(1, b"%09d\n" % number)
"""
LINES = 40_000
LINE_BYTES = 10


def everything(log: Path) -> list[str]:
    """Return the lines of a log and of its older ones, the oldest first."""
    older = [log.with_name(f"{log.name}.{number}") for number in range(KEPT, 0, -1)]
    return [line for file in (*older, log) if file.exists() for line in file.read_text().splitlines()]


def test_processes_go_on_writing_to_a_log_that_begins_anew(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with log.open("ab") as stream:
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, str(LINES)], stdout=stream, stderr=stream) for _ in range(2)
        ]
    begun = 0
    while any(writer.poll() is None for writer in writers):
        if begun < KEPT:
            begun += shorten(log, largest=LINES * LINE_BYTES // 4)

    lines = everything(log)
    assert begun == KEPT
    # What is written in the very moment in which a log is emptied may be missing.
    assert sum(len(line) != LINE_BYTES - 1 for line in lines) <= 2 * begun
    assert 2 * LINES * 0.99 <= len(lines) <= 2 * LINES
    assert lines[-1] == f"{LINES - 1:09}"


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
