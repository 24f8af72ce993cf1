"""What is kept of failed attempts goes in time, the oldest first, and never more than it may take."""

import os
import shutil
from pathlib import Path

import pytest

from qanat.worker.kept import FOLDER, MOST, SECONDS_OF_A_DAY, Kept
from qanat.worker.run_dir import GOING, OWNER, RunDir, sweep

NOW = 1_800_000_000.0
BLOCK = 4096


def attempt(work_dir: Path, name: str, *, blocks: int = 1) -> RunDir:
    run_dir = RunDir.create(work_dir, name=name)
    (run_dir.path / "made").write_bytes(b"x" * BLOCK * blocks)
    (run_dir.temporary / "needless").write_bytes(b"x" * BLOCK)
    os.mkfifo(run_dir.path / "fifo")
    return run_dir


def names(work_dir: Path) -> list[str]:
    return sorted(path.name.rpartition("-")[0] for path in (work_dir / FOLDER).iterdir())


def kept(work_dir: Path, *, days: float = 7, most_bytes: int = 2**30) -> Kept:
    return Kept(work_dir, days=days, most_bytes=most_bytes)


def test_a_directory_is_kept_without_what_is_temporary_and_for_its_owner_only(tmp_path: Path) -> None:
    run_dir = attempt(tmp_path, "a")

    place = kept(tmp_path).take(run_dir, now=NOW)

    assert place is not None
    assert (place / "made").stat().st_size == BLOCK
    assert not (place / "tmp").exists()
    assert not run_dir.path.exists()
    assert {path.stat().st_mode & 0o777 for path in (place, place.parent)} == {0o700}


def test_what_is_kept_survives_the_next_start_of_the_worker(tmp_path: Path) -> None:
    kept(tmp_path).take(attempt(tmp_path, "a"), now=NOW)

    sweep(tmp_path, grace_seconds=0)

    assert names(tmp_path) == ["a"]


def test_each_goes_after_its_days(tmp_path: Path) -> None:
    for number, name in enumerate("abc"):
        kept(tmp_path).take(attempt(tmp_path, name), now=NOW + number * SECONDS_OF_A_DAY)

    kept(tmp_path).tidy(now=NOW + 8.5 * SECONDS_OF_A_DAY)

    assert names(tmp_path) == ["c"]


def test_where_all_take_too_much_the_oldest_go(tmp_path: Path) -> None:
    for number, name in enumerate("abcd"):
        kept(tmp_path, most_bytes=40 * BLOCK).take(attempt(tmp_path, name, blocks=10), now=NOW + number)

    assert names(tmp_path) == ["b", "c", "d"]


def test_one_that_is_too_large_by_itself_is_not_kept(tmp_path: Path) -> None:
    assert kept(tmp_path, most_bytes=5 * BLOCK).take(attempt(tmp_path, "a", blocks=10), now=NOW) is None
    assert names(tmp_path) == []


def test_no_more_is_kept_than_a_tenth_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(total=150 * BLOCK))

    for number, name in enumerate("ab"):
        kept(tmp_path).take(attempt(tmp_path, name, blocks=10), now=NOW + number)

    assert names(tmp_path) == ["b"]


def test_no_more_are_kept_than_a_look_can_go_through(tmp_path: Path) -> None:
    for number in range(MOST + 2):
        kept(tmp_path).take(RunDir.create(tmp_path, name=f"{number:03}"), now=NOW + number)

    assert names(tmp_path) == [f"{number:03}" for number in range(2, MOST + 2)]


def test_what_was_left_of_one_that_was_going_goes(tmp_path: Path) -> None:
    place = kept(tmp_path).take(attempt(tmp_path, "a"), now=NOW)
    assert place is not None
    place.rename(place.with_name(f"{GOING}{place.name}"))

    kept(tmp_path).tidy(now=NOW)

    assert names(tmp_path) == []


def test_one_whose_note_is_broken_goes(tmp_path: Path) -> None:
    (tmp_path / FOLDER / "whatever-1").mkdir(parents=True)

    kept(tmp_path).tidy(now=NOW)

    assert names(tmp_path) == []


def test_directories_under_way_are_left_alone(tmp_path: Path) -> None:
    under_way = attempt(tmp_path, "a")

    kept(tmp_path, days=0).tidy(now=NOW)

    assert (under_way.path / OWNER).is_file()


def test_where_it_cannot_be_kept_it_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    run_dir = attempt(tmp_path, "a")

    assert kept(tmp_path).take(run_dir, now=NOW) is None

    assert not run_dir.path.exists()
    assert "cannot be kept" in caplog.text
