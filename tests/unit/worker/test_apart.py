"""Attempts' directories lie apart on a file system that can keep them so."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qanat.worker.apart import keep_apart

MEMORY = Path("/dev/shm")  # noqa: S108 - no file is written
LIST, CHANGE = shutil.which("lsattr"), shutil.which("chattr")


def change(marks: str, directory: Path) -> bool:
    """Change the marks of a directory; say whether its file system knows them."""
    return subprocess.run([str(CHANGE), marks, directory], capture_output=True, check=False).returncode == 0


def marks_of(directory: Path) -> set[str]:
    """Return the marks of a directory, each a letter."""
    shown = subprocess.run([str(LIST), "-d", directory], capture_output=True, text=True, check=True)
    return {*shown.stdout.split()[0]} - {"-"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows the hint")
@pytest.mark.skipif(LIST is None or CHANGE is None, reason="lsattr is not installed: apt-get install e2fsprogs")
def test_a_directory_is_marked_as_the_top_of_a_hierarchy_and_keeps_its_other_marks(tmp_path: Path) -> None:
    if not (change("+T", tmp_path) and change("-T", tmp_path) and change("+d", tmp_path)):
        pytest.skip("the file system does not know the hint")
    before = marks_of(tmp_path)

    keep_apart(tmp_path)
    keep_apart(tmp_path)

    assert "T" not in before
    assert marks_of(tmp_path) == before | {"T"}


@pytest.mark.skipif(not MEMORY.is_dir(), reason="there is no file system in memory")
def test_a_file_system_without_the_hint_is_left_as_it_is() -> None:
    keep_apart(MEMORY)


def test_a_directory_that_is_not_there_is_no_matter(tmp_path: Path) -> None:
    keep_apart(tmp_path / "gone")
