"""Runs the kernel's tools in forks of one process of the step, which has them imported.

The kernel's run script starts some fifty Python programmes, and each spends two CPU-seconds on imports before it does a
few milliseconds of arithmetic. Kernel and script stay as they are: the tools are found first on PATH as shims
(``shim``), which hand over to a fork server (``fork_server``). That is a fork of the step's runner, in its session,
environment and limits, and ends with it; a tool ends when its shim does. What the server does not know is found further
along PATH.
"""

import contextlib
import functools
import importlib
import os
import shlex
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

from qanat.worker.fork_server import ForkServer, take_from_listener

DISTRIBUTION: Final = "oasislmf"
NOT_TOOLS: Final = frozenset({"oasislmf", "completer_oasislmf"})
SHIM: Final = Path(__file__).with_name("shim.py")
SOCKET: Final = "tools.socket"
FOLDER: Final = "tools"
WATCHDOG: Final = "oasis_exec_monitor.sh"
"""Looks every two seconds whether the run script's tools complain. While it sleeps in between it holds the script's
output open, and the kernel waits for that to close: up to two seconds a script, unless its output goes elsewhere."""
WAITING: Final = 512
"""Shims that may wait to be heard at once."""

Tools = Mapping[str, Callable[[], object]]


class ToolServer:
    """A fork of this process that serves its tools."""

    def __init__(self, pid: int, held: int) -> None:
        """Hold the pipe that keeps it alive."""
        self._pid = pid
        self._held = held

    def close(self) -> None:
        """End it, and wait for it: what its tools have used counts as this process' children's from now on."""
        os.close(self._held)
        os.waitpid(self._pid, 0)


def start(directory: Path, tools: Tools) -> ToolServer | None:
    """Fork the server of tools that are imported, and put their shims first on this process' PATH.

    To be called before this process has a second thread: a fork copies only the one that calls. Elsewhere than on Linux
    nothing happens, for there a fork of a process with such libraries is not safe.
    """
    if sys.platform != "linux":
        return None
    # A socket's address has room for some hundred characters only, so it is named from within its folder.
    before = Path.cwd()
    os.chdir(directory)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(SOCKET)
    listener.listen(WAITING)
    os.chdir(before)
    runner_alive, held_by_runner = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(held_by_runner)
        programs = {name: functools.partial(_run, tool) for name, tool in tools.items()}
        ForkServer(listener, take_from_listener, programs, parent_alive=runner_alive, own_sessions=False).serve()
    os.close(runner_alive)
    listener.close()
    shims = directory / FOLDER
    _write_shims(shims, tools, directory / SOCKET)
    os.environ["PATH"] = os.pathsep.join([str(shims), os.environ.get("PATH", os.defpath)])
    return ToolServer(pid, held_by_runner)


def load() -> Tools:
    """Import the kernel's console scripts; one that cannot be imported is left to run by itself."""
    from qanat.worker.kernel import numba_cache  # noqa: PLC0415 - numba takes a second, which light steps need not pay

    numba_cache.settle()
    tools: dict[str, Callable[[], object]] = {}
    for script in metadata.distribution(DISTRIBUTION).entry_points.select(group="console_scripts"):
        if script.name not in NOT_TOOLS:
            with contextlib.suppress(ImportError):
                module = importlib.import_module(script.module)
                tools[script.name] = getattr(module, script.attr)
    return tools


def _run(tool: Callable[[], object], watch: threading.Thread) -> object:
    watch.start()
    return tool()


def _write_shims(folder: Path, tools: Tools, address: Path) -> None:
    folder.mkdir()
    real = Path(sys.executable).parent
    for name in tools:
        shim = folder / name
        command = shlex.join([sys.executable, "-I", "-S", str(SHIM), str(address), str(real), name])
        _write_script(shim, f'exec {command} "$@"')
    if (watchdog := real / WATCHDOG).is_file():
        _write_script(folder / WATCHDOG, f'exec {shlex.quote(str(watchdog))} "$@" >/dev/null 2>&1')


def _write_script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o700)
