"""Everything that a step has started is found and ended."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from qanat.worker import processes
from qanat.worker.run_dir import RunDir, sweep
from tests.living import lives

Eventually = Callable[[Callable[[], object]], None]
# A leader, a child in a process group of its own, and one that has left for a session of its own.
FAMILY = """
import os, subprocess, sys
nap = [sys.executable, "-c", {nap!r}]
group = subprocess.Popen(nap, process_group=0)
away = subprocess.Popen(nap, start_new_session=True)
print(group.pid, away.pid, flush=True)
{then}
"""
STAY = "import signal; signal.pause()"
WORK = "import time; all(time.process_time() < 0.1 for _ in iter(int, 1))"


def family(folder: Path, *, nap: str = STAY, then: str = STAY) -> "tuple[subprocess.Popen[str], list[psutil.Process]]":
    leader = subprocess.Popen(
        [sys.executable, "-c", FAMILY.format(nap=nap, then=then)],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert leader.stdout is not None
    with leader.stdout as stream:
        members = [psutil.Process(int(pid)) for pid in stream.readline().split()]
    return leader, members


def alive(members: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in members if lives(one)]


def test_a_step_is_its_session_and_what_works_in_its_directory(tmp_path: Path) -> None:
    leader, members = family(tmp_path)

    gone = processes.end({leader.pid}, directory=tmp_path, grace_seconds=5)

    assert gone
    assert not alive(members)
    assert leader.wait() < 0


def test_the_exit_code_is_left_to_whoever_waits_for_it(tmp_path: Path) -> None:
    leader = subprocess.Popen([sys.executable, "-c", STAY], start_new_session=True)

    processes.end({leader.pid}, grace_seconds=5)

    assert leader.wait() == -15


def test_what_ignores_term_is_killed(tmp_path: Path) -> None:
    stubborn = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); signal.pause()"
    leader = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE, start_new_session=True)
    assert leader.stdout is not None
    with leader.stdout as stream:
        stream.readline()

    assert processes.end({leader.pid}, grace_seconds=0.3)
    assert leader.wait() == -9


def test_usage_counts_the_whole_session(tmp_path: Path, eventually: Eventually) -> None:
    # Each works for a tenth of a second, the system's clock ticks each hundredth: that tells one from two.
    leader, members = family(tmp_path, nap=f"{WORK}; {STAY}", then=f"{WORK}; {STAY}")
    group, away = members

    eventually(lambda: processes.usage({leader.pid}).cpu_seconds >= 0.15)
    eventually(lambda: processes.usage({away.pid}).cpu_seconds >= 0.08)

    assert {one.pid for one in processes.members({leader.pid})} == {leader.pid, group.pid}
    assert processes.usage({leader.pid}).memory_bytes > processes.usage({away.pid}).memory_bytes
    processes.end({leader.pid}, directory=tmp_path, grace_seconds=5)
    leader.wait()
    assert not alive(members)


def orphaned(work: Path) -> tuple[RunDir, list[psutil.Process]]:
    """Return an attempt whose supervisor and session leader are both gone, with what they left running."""
    run_dir = RunDir.create(work, name="run-1-losses-3")
    leader, members = family(run_dir.path, then="")
    run_dir.belongs_to(leader.pid)
    leader.wait()
    owner = run_dir.path / "session.json"
    owner.write_text(owner.read_text().replace(f'"supervisor": {os.getpid()}', '"supervisor": 1'))
    return run_dir, members


def test_a_sweep_ends_orphans_whose_leader_is_dead(tmp_path: Path, eventually: Eventually) -> None:
    run_dir, members = orphaned(tmp_path)
    assert len(alive(members)) == 2

    swept = sweep(tmp_path, grace_seconds=5)

    assert swept == 1
    # One that is ending has let go of its directory a moment before the system calls it dead.
    eventually(lambda: not alive(members))
    assert not run_dir.path.exists()


def test_a_process_that_nobody_has_buried_is_gone() -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)

    assert processes.started_at(dead.pid) is None
    dead.wait()


def test_a_sweep_leaves_the_attempts_of_a_living_worker_alone(tmp_path: Path) -> None:
    run_dir = RunDir.create(tmp_path, name="run-1-losses-3")

    assert sweep(tmp_path, grace_seconds=5) == 0
    assert run_dir.path.is_dir()


def remove_until_killed(work: Path, *, after: int) -> bool:
    """Remove an attempt's directory in a process that is killed after so many removals; say whether it was."""
    if (pid := os.fork()) == 0:
        left = itertools.count(after, -1)

        def kill(event: str, _: object) -> None:
            if event in {"os.remove", "os.rmdir"} and next(left) == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        run_dir = RunDir.create(work, name="run-1-losses-3")
        for file in (run_dir.path / "result.json", run_dir.inputs / "location.csv"):
            file.touch()
        sys.addaudithook(kill)
        run_dir.remove()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def test_a_sweep_finds_what_a_worker_has_left_that_was_killed_while_it_removed_it(tmp_path: Path) -> None:
    removals = next(after for after in itertools.count() if not swept_after_a_kill(tmp_path, after=after))

    assert removals >= len(["result.json", "location.csv", "in", "tmp", "session.json", "the directory"])


def swept_after_a_kill(work: Path, *, after: int) -> bool:
    """Kill it so, sweep, and see that nothing is left; say whether it was killed."""
    killed = remove_until_killed(work, after=after)
    sweep(work, grace_seconds=1)
    assert list(work.iterdir()) == []
    return killed


@pytest.mark.skipif(sys.platform != "linux", reason="a process' directory can be seen on Linux only")
def test_a_runner_whose_supervisor_dies_takes_its_session_along(tmp_path: Path, eventually: Eventually) -> None:
    watch = "import os; from qanat.worker import processes; os.read(0, 1); processes.kill_own_session()"
    supervisor, end = os.pipe()
    leader = subprocess.Popen(
        [
            sys.executable,
            "-c",
            FAMILY.replace("start_new_session=True", "process_group=0").format(nap=STAY, then=watch),
        ],
        stdin=supervisor,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    os.close(supervisor)
    assert leader.stdout is not None
    with leader.stdout as stream:
        members = [psutil.Process(int(pid)) for pid in stream.readline().split()]

    os.close(end)

    assert leader.wait(timeout=15) == -9
    eventually(lambda: not alive(members))
