"""Counters that the forks of a process share, in processes of their own."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qanat.server.counting import shared

FORKS = """
import os, sys
from qanat.server.counting.shared import FOLDER, sharing

def count(times):
    for _ in range(times):
        counters.COMMITTED.labels("queue").inc()

with sharing():
    from qanat.server.counting import counters
    count(1)
    for times in (10, 100):
        if (pid := os.fork()) == 0:
            count(times)
            sys.exit()  # it leaves the block, too
        os.waitpid(pid, 0)
    found = {sample.name: sample.value for metric in counters.collect() for sample in metric.samples}
    folder = os.environ[FOLDER]
    assert os.listdir(folder)
print(found["qanat_steps_committed_total"], os.path.exists(folder))
"""
KILLED = """
import os, signal
from qanat.server.counting.shared import FOLDER, sharing
with sharing():
    print(os.environ[FOLDER], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def said(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_what_forks_count_is_added_up_and_leaves_nothing_behind() -> None:
    done = said(FORKS)

    assert done.stdout == "111.0 False\n", done.stderr


def test_what_a_killed_process_leaves_is_removed_when_the_next_one_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    done = said(KILLED)
    left = Path(done.stdout.strip())
    assert (done.returncode, left.is_dir()) == (-signal.SIGKILL, True)
    monkeypatch.setattr(os, "environ", dict(os.environ))

    with shared.sharing():
        assert left.is_dir()  # it may be of somebody who is only just starting
    os.utime(left, (0, 0))
    with shared.sharing():
        pass

    assert not left.exists()


def test_what_a_process_still_uses_is_left_alone(tmp_path: Path) -> None:
    used = tmp_path / f"{shared.PREFIX}used"
    used.mkdir()
    old = time.time() - 2 * shared.YOUNG_SECONDS
    os.utime(used, (old, old))
    lock = os.open(used, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_SH)

    shared._remove_abandoned(tmp_path)
    assert used.exists()
    os.close(lock)
    shared._remove_abandoned(tmp_path)

    assert not used.exists()
