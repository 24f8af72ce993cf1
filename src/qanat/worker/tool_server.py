"""Runs the kernel's tools in forks of one process of the step, which has them imported.

The kernel's run script starts some fifty Python programmes, and each spends two CPU-seconds on imports before it does a
few milliseconds of arithmetic. Kernel and script stay as they are: the tools are found first on PATH as shims
(``shims``), which hand over to a fork server (``fork_server``) of their step; a tool ends when its shim does. What no
server knows is found further along PATH.

To fork a process costs time for all that it has in memory, and one or two of the fifty tools need most of what the
kernel imports. So the others have a server without it, a fork of the zygote (``zygote``); who has no zygote serves all.
The third of them that make the tables at the end share as many forks as there are cores.
"""

import contextlib
import functools
import importlib
import os
import shlex
import socket
import sys
from collections.abc import Callable, Collection, Mapping
from importlib import metadata
from pathlib import Path
from typing import Final, NoReturn

from qanat.configuration.cores import usable_cores
from qanat.contract import tasks
from qanat.worker import pipes, processes, shims
from qanat.worker.fork_server import ForkServer, Lifeline, Series
from qanat.worker.orders import take_from_listener

NEEDS_TOOLS: Final = frozenset({tasks.RUN_ANALYSIS, tasks.GENERATE_LOSSES_CHUNK, tasks.GENERATE_LOSSES_OUTPUT})
"""Tasks in which the kernel's run script starts its tools."""
DISTRIBUTION: Final = "oasislmf"
NOT_TOOLS: Final = frozenset({"oasislmf", "completer_oasislmf"})
LIGHT: Final = frozenset(
    {
        "aalpy",
        "eltpy",
        "evepy",
        "fmpy",
        "katpy",
        "lecpy",
        "plapy",
        "pltpy",
        "summarypy",
        "load_balancer",
    }
)
"""Tools that need neither pandas nor what is built on it: fifty-odd of a run's, and a third of the memory."""
IN_SERIES: Final = frozenset({"aalpy", "katpy", "lecpy"})
"""Light tools that the run script starts when all pipelines have ended: they read what these have left in files and
write tables, so that none of them waits for another process."""
PASS_ON_MUCH: Final = frozenset({"fmpy", "gulmc", "gulpy", "load_balancer", "modelpy", "plapy", "summarypy"})
"""Tools that read or write the losses of every event, sample and item; others read what is summed up."""
SOCKET: Final = "tools.socket"
LIGHT_SOCKET: Final = "light-tools.socket"
"""Where a server of the light ones listens, if the step has one."""
SERIES_SOCKET: Final = "series.socket"
"""Where the same server, or else the one of all, listens for those in series."""
FOLDER: Final = "tools"
SERVE_TOOLS: Final = "serve-tools"
"""What a server of tools is called in process listings."""
WATCHDOG: Final = "oasis_exec_monitor.sh"
"""Looks every two seconds whether the run script's tools complain. While it sleeps in between it holds the script's
output open, and the kernel waits for that to close: up to two seconds a script, unless its output goes elsewhere."""
COMPLAINTS: Final = "stderror.err"
"""Where it looks: what the tools have written to their stderr, in a folder of the script's logs."""
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


def start(directory: Path, tools: Tools, *, shim: Path | None = None) -> ToolServer | None:
    """Fork the server of tools that are imported, and put the shims of all first on this process' PATH.

    To be called before this process has a second thread: a fork copies only the one that calls. Elsewhere than on Linux
    nothing happens, for there a fork of a process with such libraries is not safe. ``shim`` is the compiled one.
    """
    if sys.platform != "linux":
        return None
    served = LIGHT if (directory / LIGHT_SOCKET).exists() else frozenset()
    own = {name: tool for name, tool in tools.items() if name not in served}
    listener = listen(directory, SOCKET)
    series = None if served else listen(directory, SERIES_SOCKET)
    runner_alive, held_by_runner = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(held_by_runner)
        serve(listener, own, series=series, lifeline=(runner_alive,))
    os.close(runner_alive)
    listener.close()
    if series is not None:
        series.close()
    sockets = dict.fromkeys(served, directory / LIGHT_SOCKET) | dict.fromkeys(own, directory / SOCKET)
    sockets |= dict.fromkeys(IN_SERIES & sockets.keys(), directory / SERIES_SOCKET)
    folder = directory / FOLDER
    shims.lay_out(folder, sockets, shim=shim)
    if (watchdog := Path(sys.executable).with_name(WATCHDOG)).is_file():
        shims.script(folder / WATCHDOG, shlex.quote(str(watchdog)), after=" >/dev/null 2>&1")
    return ToolServer(pid, held_by_runner)


def listen(directory: Path, name: str) -> socket.socket:
    """Return a socket in a directory for shims to call."""
    listener = socket.socket(socket.AF_UNIX)
    # A socket's address has room for some hundred characters only.
    folder = os.open(directory, os.O_PATH)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{name}")
    finally:
        os.close(folder)
    listener.listen(WAITING)
    return listener


def serve(
    listener: socket.socket, tools: Tools, *, series: socket.socket | None, lifeline: tuple[int, ...]
) -> NoReturn:
    """Fork a tool for each shim that calls, until one of the descriptors ``lifeline`` becomes readable.

    Args:
        listener: where the shims call.
        tools: by name, imported.
        series: where the shims of those ``IN_SERIES`` call.
        lifeline: ends it.
    """
    processes.call_this_process(SERVE_TOOLS)
    width = pipes.width()
    programs = {
        name: functools.partial(_run, tool, width=width if name in PASS_ON_MUCH else 0) for name, tool in tools.items()
    }
    in_series = {name: functools.partial(_run_for_now, tools[name]) for name in IN_SERIES & tools.keys()}
    # Of a pipeline with a tool killed, others may wait for ever for it to open its end of a pipe: the step is lost.
    killed = processes.kill_own_session
    ForkServer(
        listener,
        take_from_listener,
        programs,
        lifeline=lifeline,
        own_sessions=False,
        killed=killed,
        series=None if series is None else Series(listener=series, programs=in_series, at_once=usable_cores()),
    ).serve()


def load(names: Collection[str] | None = None) -> Tools:
    """Import the kernel's console scripts, or some of them; one that cannot be imported is left to run by itself."""
    from qanat.worker.kernel import numba_cache  # noqa: PLC0415 - numba takes a second, which light steps need not pay

    numba_cache.settle()
    tools: dict[str, Callable[[], object]] = {}
    for script in metadata.distribution(DISTRIBUTION).entry_points.select(group="console_scripts"):
        if script.name not in NOT_TOOLS and (names is None or script.name in names):
            with contextlib.suppress(ImportError):
                module = importlib.import_module(script.module)
                tools[script.name] = getattr(module, script.attr)
    return tools


def _run(tool: Callable[[], object], lifeline: Lifeline, *, width: int) -> object:
    pipes.widen(0, 1, size=width)
    lifeline.watch()
    return tool()


def _run_for_now(tool: Callable[[], object], lifeline: Lifeline) -> object:
    with lifeline.watched():
        return tool()
