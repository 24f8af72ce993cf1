"""A tool behind its shim behaves as it would by itself."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from qanat.worker import pipes, shims
from tests.living import lives
from tests.unit.worker.tool_host import TOOLS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tools are forked on Linux only")
Eventually = Callable[[Callable[[], object]], None]
Host = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shim in C."""
    shim = shims.compiled(tmp_path_factory.mktemp("shim"))
    if shim is None:
        pytest.skip("there is no C compiler: apt-get install gcc libc6-dev")
    return shim


@pytest.fixture(params=["python", "c"])
def shim(request: pytest.FixtureRequest) -> Path | None:
    """Either shim; None is the one in Python."""
    found: Path | None = request.getfixturevalue("compiled") if request.param == "c" else None
    return found


@pytest.fixture(params=["each its fork", "in series"])
def in_series(request: pytest.FixtureRequest) -> bool:
    """Whether one fork may run several tools."""
    return bool(request.param == "in series")


@pytest.fixture
def host(tmp_path: Path, shim: Path | None, in_series: bool) -> Host:  # noqa: FBT001 - a fixture
    """Start a process with a tool server and a shell that runs a script with its tools."""
    return lambda script: start(tmp_path, script, shim, in_series=in_series)


def start(folder: Path, script: str, shim: Path | None, *, in_series: bool) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.unit.worker.tool_host", str(folder), script]
    command += ["--shim", str(shim)] if shim else []
    command += ["--in-series", *(tool.__name__ for tool in TOOLS)] if in_series else []
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
        start_new_session=True,
    )


def output(running: "subprocess.Popen[str]") -> str:
    out, err = running.communicate(timeout=30)
    assert not err, err
    return out


def test_streams_pass_through_pipes(host: Host) -> None:
    assert output(host("printf 'gross loss' | upper | cat")) == "GROSS LOSS"


def test_what_passes_on_much_has_wide_pipes(tmp_path: Path) -> None:
    usual = 16 * os.sysconf("SC_PAGE_SIZE")
    wide = max(usual, pipes.width())  # A host with very many cores leaves them as they are.

    assert output(start(tmp_path, "true | fmpy | cat", None, in_series=False)) == f"{wide} {wide}\n"


def test_directory_environment_mask_and_arguments_are_the_callers(host: Host, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    script = f"cd {tmp_path}/elsewhere && umask 027 && COLOUR=blue where a 'b  c'"

    assert output(host(script)) == f"{tmp_path}/elsewhere blue 0o27 a b  c\n"


def test_nothing_of_one_tool_is_seen_by_the_next(host: Host, tmp_path: Path) -> None:
    script = f"cd {tmp_path} && COLOUR=blue where; cd / && where"

    assert output(host(script)).splitlines()[1] == "/ None 0o22"


@pytest.mark.parametrize(("call", "code"), [("leave 0", 0), ("leave 7", 7), ("complain", 1), ("stumble", 1)])
def test_a_tool_ends_as_it_would_by_itself(host: Host, call: str, code: int) -> None:
    out, _ = host(f"{call}; echo $?").communicate(timeout=30)

    assert out == f"{code}\n"


def test_a_tool_that_crashes_has_its_shim_crash(host: Host, in_series: bool) -> None:  # noqa: FBT001 - a fixture
    out, _ = host("drop; echo $?; leave 3; echo $?").communicate(timeout=30)

    # Of those in series nobody is left to say of what; the next has another fork.
    assert out == f"{128 + (signal.SIGKILL if in_series else signal.SIGSEGV)}\n3\n"


def test_only_those_in_series_share_forks_as_many_as_there_are_cores(
    host: Host,
    in_series: bool,  # noqa: FBT001 - a fixture
) -> None:
    cores = len(os.sched_getaffinity(0))
    seen = output(host(f"for i in $(seq {cores + 2}); do process; stumble 2>/dev/null; done")).split()

    assert len(seen) == cores + 2
    assert len(set(seen)) <= cores if in_series else len(set(seen)) == cores + 2


def test_a_tool_finds_its_process_as_the_first_found_it(host: Host) -> None:
    seen = output(host("logs; where; umask 022; shout; logs; where")).splitlines()

    assert seen[:2] == seen[2:]
    assert seen[0] == "30 []"


def test_what_tools_use_counts_as_their_runners(host: Host, tmp_path: Path) -> None:
    output(host("burn 0.3"))

    assert float((tmp_path / "cpu").read_text()) > 0.25


def test_what_went_wrong_is_said_on_the_tools_own_stderr(host: Host) -> None:
    _, err = host("complain; stumble").communicate(timeout=30)

    assert err.startswith("out of ink\n")
    assert "ValueError: over a stone" in err


def test_many_tools_at_once(host: Host) -> None:
    script = "for i in $(seq 60); do leave $((i % 3)) & done; for i in $(seq 60); do wait -n; done; echo done"

    assert output(host(f"bash -c '{script}'")) == "done\n"


def test_a_tool_ends_with_its_shim(host: Host, tmp_path: Path, eventually: Eventually) -> None:
    pid_file = tmp_path / "pid"
    running = host(f"linger {pid_file} & echo $!; wait")
    assert running.stdout is not None
    shim = int(running.stdout.readline())
    eventually(lambda: pid_file.exists() and pid_file.read_text())
    tool = psutil.Process(int(pid_file.read_text()))

    os.kill(shim, signal.SIGKILL)

    eventually(lambda: not lives(tool))
    running.communicate(timeout=15)


def test_server_and_tools_end_with_their_runner(host: Host, tmp_path: Path, eventually: Eventually) -> None:
    pid_file = tmp_path / "pid"
    running = host(f"linger {pid_file}")
    eventually(lambda: pid_file.exists() and pid_file.read_text())
    tool = psutil.Process(int(pid_file.read_text()))
    server = tool.parent()
    assert server is not None
    assert server.pid != running.pid

    running.kill()

    eventually(lambda: not lives(server) and not lives(tool))
    running.communicate(timeout=15)


def test_the_tool_next_on_path_takes_over_where_the_server_is_gone(
    tmp_path: Path, shim: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tmp_path / "upper"
    real.write_text("#!/bin/sh\necho the real one got $1 in $(pwd)\n")
    real.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv(shims.VARIABLE, "")  # put back at the end
    shims.lay_out(tmp_path / "tools", {"upper": tmp_path / "no.socket"}, shim=shim)

    done = subprocess.run(["upper", "this"], cwd="/", capture_output=True, text=True, check=False, timeout=15)  # noqa: S607 - PATH finds it

    assert done.stdout == "the real one got this in /\n"


def test_a_long_path_is_no_obstacle(tmp_path: Path, shim: Path | None) -> None:
    folder = tmp_path / ("long" * 20) / ("path" * 20)
    folder.mkdir(parents=True)

    assert output(start(folder, "printf x | upper", shim, in_series=False)) == "X"


def test_arguments_and_variables_may_hold_any_bytes(host: Host) -> None:
    script = """COLOUR=$(printf 'r\\351d\\n=') where "$(printf '\\377 \\n\\302\\243')" '' x"""

    assert ascii(output(host(script))).endswith(r"""r\udce9d\n= 0o22 \udcff \n\xa3  x\n'""")


def test_without_a_compiler_there_is_no_compiled_shim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert shims.compiled(tmp_path) is None


def test_a_compiler_that_fails_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\nexit 1\n")
    compiler.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert shims.compiled(tmp_path) is None
