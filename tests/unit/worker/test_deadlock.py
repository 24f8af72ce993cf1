"""A step of which nothing can go on is told from one that takes its time."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qanat.worker import processes, shims, tool_server, waits
from qanat.worker.deadlock import STUCK_SECONDS, Deadlock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what processes wait for is seen on Linux only")
Eventually = Callable[[Callable[[], object]], None]
Step = Callable[..., "subprocess.Popen[str]"]
IDLE_THREAD = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start(); open('pipe')"
NETWORK = "import socket; socket.create_server(('127.0.0.1', 0)).accept()"
LOCK = "import threading; threading.Event().wait(600)"


RUN = "import subprocess, sys; subprocess.run(sys.argv[1:])"


@pytest.fixture
def step(tmp_path: Path) -> Iterator[Step]:
    """Start a leader of a session that runs a script in the attempt's directory, where there is a pipe."""
    os.mkfifo(tmp_path / "pipe")
    started = []

    def start(text: str, *, folder: Path = tmp_path) -> "subprocess.Popen[str]":
        script = folder / "run.sh"
        script.write_text(text)
        running = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", RUN, "bash", str(script)],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(running)
        return running

    yield start
    for running in started:
        with running:
            processes.kill({running.pid})


@pytest.fixture
def deadlock(tmp_path: Path) -> Deadlock:
    """Looks at it, as long after each other as it takes."""
    return Deadlock(tmp_path, clock=itertools.count(step=STUCK_SECONDS).__next__)


def opening(pid: int) -> bool:
    """Say whether a process waits to open a pipe."""
    wait = waits.wait_of(pid, pid)
    return wait is not None and wait.call == "open"


def pids(running: "subprocess.Popen[str]") -> list[int]:
    """Return what a script says of its processes."""
    assert running.stdout is not None
    return [int(pid) for pid in running.stdout.readline().split()]


@pytest.mark.parametrize(
    "script",
    [
        "cat pipe",
        "cat <pipe",
        "cat pipe | tee copy | wc -l",
        "(kill -9 $BASHPID; cat copy >pipe) & cat pipe & wait",
        "echo >pipe & cat pipe; wait; cat pipe",
        f'{sys.executable} -c "{IDLE_THREAD}"',
    ],
    ids=[
        "opens",
        "is to be opened for",
        "reads",
        "waits for children",
        "after the pipe was used",
        "has an idle thread",
    ],
)
def test_a_step_is_stuck_where_all_wait_for_one_that_is_gone(
    step: Step, deadlock: Deadlock, eventually: Eventually, tmp_path: Path, script: str
) -> None:
    running = step(f"{script}; echo")

    eventually(lambda: deadlock.found({running.pid}))

    assert all(line.endswith(f"to open {tmp_path}/pipe.") for line in deadlock.found({running.pid}))


@pytest.mark.parametrize(
    "living",
    [
        "sleep 600",
        "yes >/dev/null",
        f'{sys.executable} -c "{NETWORK}"',
        f'{sys.executable} -c "{LOCK}"',
        "tail -f /dev/null",
        "(cd / && exec setsid sleep 600)",
        "setsid sleep 600",
    ],
    ids=["sleeps", "computes", "network", "so long only", "file", "elsewhere", "another session"],
)
def test_a_step_is_not_stuck_as_long_as_one_may_go_on(
    step: Step, deadlock: Deadlock, eventually: Eventually, living: str
) -> None:
    running = step(f"cat pipe & echo -n $!' '; {living} & echo $!; wait; wait")
    waiting, alive = pids(running)
    eventually(lambda: opening(waiting))

    assert not any(deadlock.found({running.pid}) for _ in range(4))

    os.kill(alive, signal.SIGKILL)
    eventually(lambda: deadlock.found({running.pid}))


def test_a_step_is_not_stuck_where_somebody_else_holds_a_pipe(
    step: Step, deadlock: Deadlock, eventually: Eventually
) -> None:
    running = step("cat pipe & echo $!; cat <&0 | cat >/dev/null; wait")
    [waiting] = pids(running)
    eventually(lambda: opening(waiting))

    assert not any(deadlock.found({running.pid}) for _ in range(4))

    assert running.stdin is not None
    running.stdin.close()
    eventually(lambda: deadlock.found({running.pid}))


def test_a_step_is_not_stuck_where_a_pipe_is_not_of_its_own(
    step: Step, deadlock: Deadlock, eventually: Eventually, tmp_path_factory: pytest.TempPathFactory
) -> None:
    foreign = tmp_path_factory.mktemp("foreign") / "pipe"
    os.mkfifo(foreign)
    running = step(f"cat {foreign} & echo $!; wait")
    [waiting] = pids(running)
    eventually(lambda: opening(waiting))

    assert not any(deadlock.found({running.pid}) for _ in range(4))


def test_a_script_of_the_models_own_is_not_known_well_enough_to_be_called_stuck(
    step: Step, deadlock: Deadlock, eventually: Eventually, tmp_path_factory: pytest.TempPathFactory
) -> None:
    running = step("cat pipe & echo $!; wait", folder=tmp_path_factory.mktemp("model"))
    [waiting] = pids(running)
    eventually(lambda: opening(waiting))

    assert not any(deadlock.found({running.pid}) for _ in range(4))


def test_a_step_that_has_gone_on_meanwhile_is_not_stuck(
    step: Step, deadlock: Deadlock, eventually: Eventually, tmp_path: Path
) -> None:
    running = step("for turn in 1 2; do cat pipe & echo $!; wait; done")
    [first] = pids(running)
    eventually(lambda: opening(first))
    deadlock.found({running.pid})

    (tmp_path / "pipe").write_text("")

    [second] = pids(running)
    eventually(lambda: opening(second))
    assert not deadlock.found({running.pid})
    eventually(lambda: deadlock.found({running.pid}))


def test_it_takes_its_time(step: Step, eventually: Eventually, tmp_path: Path) -> None:
    now = [0.0]
    deadlock = Deadlock(tmp_path, clock=lambda: now[0])
    running = step("cat pipe & echo $!; wait")
    [waiting] = pids(running)
    eventually(lambda: opening(waiting))

    assert not any(deadlock.found({running.pid}) for _ in range(4))
    now[0] = STUCK_SECONDS - 0.1
    assert not deadlock.found({running.pid})


def test_who_only_looks_whether_others_complain_keeps_nothing_going(
    step: Step, deadlock: Deadlock, eventually: Eventually, tmp_path: Path
) -> None:
    watchdog = tmp_path / tool_server.WATCHDOG
    watchdog.write_text("#!/bin/bash\nwhile :; do sleep 0.3; done\n")
    watchdog.chmod(0o700)

    running = step("./oasis_exec_monitor.sh & cat pipe")

    eventually(lambda: deadlock.found({running.pid}))


@pytest.mark.parametrize("compiled", [False, True], ids=["python", "c"])
def test_tools_behind_shims_wait_like_others(
    deadlock: Deadlock, eventually: Eventually, tmp_path: Path, *, compiled: bool
) -> None:
    shim = shims.compiled(tmp_path) if compiled else None
    if compiled and shim is None:
        pytest.skip("there is no C compiler: apt-get install gcc libc6-dev")
    script = tmp_path / "run.sh"
    script.write_text(f"process >/dev/null; cat {tmp_path}/pipe | upper | look")
    os.mkfifo(tmp_path / "pipe")
    host = (sys.executable, "-m", "tests.unit.worker.tool_host", str(tmp_path), f"exec bash {script}")
    # That leaves a fork which waits for a tool to run.
    options = ["--in-series", "process", *(["--shim", str(shim)] if shim else [])]
    running = subprocess.Popen([*host, *options], start_new_session=True)
    try:
        eventually(lambda: deadlock.found({running.pid}))
    finally:
        processes.kill({running.pid})
        running.wait()
