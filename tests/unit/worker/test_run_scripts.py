"""Scripts as the kernel writes them notice each process that is killed, and tell it from one that fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from oasislmf.execution import bash

from qanat.worker.kernel import run_scripts

KILLED = "sh -c 'kill -9 $$'"
PIPED = "sh -c 'kill -PIPE $$'"
CRASHED = "sh -c 'kill -SEGV $$'"
WELL = "sh -c 'exit 0'"
WRONG = "sh -c 'exit 3'"
HALF_A_MINUTE = 30


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process' scripts written so, for one test."""
    monkeypatch.setattr(bash, "WAIT_FUNC", bash.WAIT_FUNC)
    monkeypatch.setattr(bash, "TRAP_FUNC", bash.TRAP_FUNC)
    run_scripts.settle()


def ended(folder: Path, *background: str) -> int:
    """Run a script that waits for these; return how it ended."""
    script = folder / "run_kernel.sh"
    with bash.bash_wrapper(str(script), bash_trace=False, stderr_guard=True, run_check_complete=False):
        numbered = dict(enumerate(background, start=1))
        for number, one in numbered.items():
            bash.print_command(str(script), f"( {one} ) 2>> $LOG_DIR/stderror.err & pid{number}=$!")
        bash.do_waits("pid", len(numbered), str(script))
    command = ["bash", str(script)]
    tools = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    # A session of its own, as a step's runner has: what fails in the script has its whole group killed.
    done = subprocess.run(command, env=tools, check=False, timeout=HALF_A_MINUTE, start_new_session=True)
    return done.returncode


@pytest.mark.parametrize(
    "lost", [f"exec {KILLED}", KILLED, f"{KILLED} | cat", f"cat </dev/null | {KILLED}", f"{KILLED} | {WRONG}"]
)
@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
def test_whoever_is_killed_is_missed_whenever_it_was_waited_for(tmp_path: Path, *, lost: str, last: bool) -> None:
    others = [WELL, WELL]

    assert ended(tmp_path, *((*others, lost) if last else (lost, *others))) != 0

    assert run_scripts.lost_a_process(tmp_path)


@pytest.mark.parametrize("bad", [f"exec {CRASHED}", WRONG, f"exec {WRONG}", f"{WRONG} | cat"])
def test_whoever_fails_by_itself_is_missed_too_and_was_not_killed(tmp_path: Path, bad: str) -> None:
    assert ended(tmp_path, bad, WELL) != 0

    assert not run_scripts.lost_a_process(tmp_path)


def test_whoever_is_killed_because_another_has_failed_is_no_news(tmp_path: Path) -> None:
    # The script kills those that began later, and the part that has failed, but not who began earlier.
    assert ended(tmp_path, "exec sleep 0.5", f"{WRONG} | cat", "exec sleep 60", "sleep 60 | cat") != 0

    assert not run_scripts.lost_a_process(tmp_path)


def test_a_writer_whose_reader_has_enough_is_well(tmp_path: Path) -> None:
    assert ended(tmp_path, f"exec {PIPED}", WELL) == 0

    assert not run_scripts.lost_a_process(tmp_path)


def test_a_script_that_is_well_ends_well(tmp_path: Path) -> None:
    assert ended(tmp_path, WELL, f"{WELL} | cat", WELL) == 0


def test_settling_twice_changes_nothing() -> None:
    before = bash.TRAP_FUNC

    run_scripts.settle()

    assert before == bash.TRAP_FUNC
    assert run_scripts.TELLING in before
