"""A tool behind its shim behaves as it would by itself."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from qanat.worker.tool_server import SHIM

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tools are forked on Linux only")
Eventually = Callable[[Callable[[], object]], None]


def host(folder: Path, script: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.unit.worker.tool_host", str(folder), script]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def output(folder: Path, script: str) -> str:
    out, err = host(folder, script).communicate(timeout=30)
    assert not err, err
    return out


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_streams_pass_through_pipes(tmp_path: Path) -> None:
    assert output(tmp_path, "printf 'gross loss' | upper | cat") == "GROSS LOSS"


def test_directory_environment_mask_and_arguments_are_the_callers(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    script = f"cd {tmp_path}/elsewhere && umask 027 && COLOUR=blue where a 'b  c'"

    assert output(tmp_path, script) == f"{tmp_path}/elsewhere blue 0o27 a b  c\n"


def test_nothing_of_one_tool_is_seen_by_the_next(tmp_path: Path) -> None:
    script = f"cd {tmp_path} && COLOUR=blue where; cd / && where"

    assert output(tmp_path, script).splitlines()[1] == "/ None 0o22"


@pytest.mark.parametrize(
    ("call", "code"), [("leave 0", 0), ("leave 7", 7), ("complain", 1), ("stumble", 1), ("drop", 128 + signal.SIGSEGV)]
)
def test_a_tool_ends_as_it_would_by_itself(tmp_path: Path, call: str, code: int) -> None:
    out, _ = host(tmp_path, f"{call}; echo $?").communicate(timeout=30)

    assert out == f"{code}\n"


def test_what_went_wrong_is_said_on_the_tools_own_stderr(tmp_path: Path) -> None:
    _, err = host(tmp_path, "complain; stumble").communicate(timeout=30)

    assert err.startswith("out of ink\n")
    assert "ValueError: over a stone" in err


def test_many_tools_at_once(tmp_path: Path) -> None:
    script = "for i in $(seq 60); do leave $((i % 3)) & done; for i in $(seq 60); do wait -n; done; echo done"

    assert output(tmp_path, f"bash -c '{script}'") == "done\n"


def test_a_tool_ends_with_its_shim(tmp_path: Path, eventually: Eventually) -> None:
    pid_file = tmp_path / "pid"
    running = host(tmp_path, f"linger {pid_file} & echo $!; wait")
    assert running.stdout is not None
    shim = int(running.stdout.readline())
    eventually(lambda: pid_file.exists() and pid_file.read_text())
    tool = psutil.Process(int(pid_file.read_text()))

    os.kill(shim, signal.SIGKILL)

    eventually(lambda: gone(tool))
    running.communicate(timeout=15)


def test_server_and_tools_end_with_their_runner(tmp_path: Path, eventually: Eventually) -> None:
    pid_file = tmp_path / "pid"
    running = host(tmp_path, f"linger {pid_file}")
    eventually(lambda: pid_file.exists() and pid_file.read_text())
    tool = psutil.Process(int(pid_file.read_text()))
    server = tool.parent()
    assert server is not None
    assert server.pid != running.pid

    running.kill()

    eventually(lambda: gone(server) and gone(tool))
    running.communicate(timeout=15)


def test_the_real_tool_takes_over_where_the_server_is_gone(tmp_path: Path) -> None:
    real = tmp_path / "upper"
    real.write_text("#!/bin/sh\necho the real one got $1 in $(pwd)\n")
    real.chmod(0o700)
    command = [sys.executable, "-I", "-S", str(SHIM), str(tmp_path / "no.socket"), str(tmp_path), "upper", "this"]

    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, timeout=15)

    assert done.stdout == "the real one got this in /\n"


def test_a_long_path_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 20) / ("path" * 20)
    folder.mkdir(parents=True)

    assert output(folder, "printf x | upper") == "X"
