"""Runs the kernel's tools in forks of one process of the step, which has them imported.

The kernel's run script starts some fifty Python programmes, and each spends two CPU-seconds on imports before it does a
few milliseconds of arithmetic. Kernel and script stay as they are: the tools are found first on PATH as shims
(``shim``), which hand over to this server. It is a fork of the step's runner, in its session, environment and limits,
and ends with it; a tool ends when its shim does. What the server does not know is found further along PATH.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import selectors
import shlex
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Final, NoReturn, TypedDict

DISTRIBUTION: Final = "oasislmf"
NOT_TOOLS: Final = frozenset({"oasislmf", "completer_oasislmf"})
SHIM: Final = Path(__file__).with_name("shim.py")
SOCKET: Final = "tools.socket"
FOLDER: Final = "tools"
WAITING: Final = 512
"""Shims that may wait to be heard at once."""
KILLED: Final = 137

Tools = dict[str, Callable[[], object]]


class Order(TypedDict):
    """What a shim asks for."""

    argv: list[str]
    cwd: str
    environment: dict[str, str]
    umask: int


def start(directory: Path, tools: Tools) -> None:
    """Fork the server of tools that are imported, and put their shims first on this process' PATH.

    To be called before this process has a second thread: a fork copies only the one that calls. Elsewhere than on Linux
    nothing happens, for there a fork of a process with such libraries is not safe.
    """
    if sys.platform != "linux":
        return
    address = directory / SOCKET
    # A socket's address has room for some hundred characters only, so it is named from within its folder.
    before = Path.cwd()
    os.chdir(directory)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(SOCKET)
    listener.listen(WAITING)
    os.chdir(before)
    parent_alive, held_by_parent = os.pipe()
    gc.collect()
    gc.freeze()  # The collector would touch, and so copy, all that the forks share.
    if os.fork() == 0:
        os.close(held_by_parent)
        _Server(listener, tools, parent_alive=parent_alive).serve()
    os.close(parent_alive)
    listener.close()
    shims = directory / FOLDER
    _write_shims(shims, tools, address)
    os.environ["PATH"] = os.pathsep.join([str(shims), os.environ.get("PATH", os.defpath)])


def load() -> Tools:
    """Import the kernel's console scripts; one that cannot be imported is left to run by itself."""
    tools: Tools = {}
    for script in metadata.distribution(DISTRIBUTION).entry_points.select(group="console_scripts"):
        if script.name not in NOT_TOOLS:
            with contextlib.suppress(ImportError):
                module = importlib.import_module(script.module)
                tools[script.name] = getattr(module, script.attr)
    return tools


def _write_shims(folder: Path, tools: Tools, address: Path) -> None:
    folder.mkdir()
    real = Path(sys.executable).parent
    for name in tools:
        shim = folder / name
        command = shlex.join([sys.executable, "-I", "-S", str(SHIM), str(address), str(real), name])
        shim.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        shim.chmod(0o700)


class _Server:
    """Runs tools until the runner is gone."""

    def __init__(self, listener: socket.socket, tools: Tools, *, parent_alive: int) -> None:
        self._listener = listener
        self._tools = tools
        self._parent_alive = parent_alive
        self._children: dict[int, socket.socket] = {}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)

    def serve(self) -> NoReturn:
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake)
        selector = selectors.DefaultSelector()
        for source in (self._listener, self._parent_alive, self._woken):
            selector.register(source, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if self._parent_alive in ready:
                os._exit(0)  # Connections close with this process, and the tools end with their connections.
            if self._woken in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._woken, 4096)
                self._reap()
            if self._listener in ready:
                self._answer()

    def _reap(self) -> None:
        """Tell the shims of the tools that have ended how they did."""
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with self._children.pop(pid) as connection, contextlib.suppress(OSError):
                connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))

    def _answer(self) -> None:
        """Fork a tool for the next shim."""
        connection, _ = self._listener.accept()
        order, streams = _hear(connection)
        if order is None:
            connection.close()  # The shim died in mid-sentence.
        elif pid := os.fork():
            self._children[pid] = connection
        else:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for foreign in (self._listener, *self._children.values()):
                foreign.close()
            for descriptor in (self._parent_alive, self._woken, self._wake):
                os.close(descriptor)
            _become(order, self._tools, streams, connection)
        for stream in streams:
            os.close(stream)


def _hear(connection: socket.socket) -> tuple[Order | None, list[int]]:
    """Return what a shim asks for and its standard streams; None where it died while it asked."""
    head, streams, _, _ = socket.recv_fds(connection, 4, 3)
    body = bytearray()
    length = int.from_bytes(head, "big")
    while len(body) < length and (piece := connection.recv(length - len(body))):
        body += piece
    return (json.loads(body) if length and len(body) == length else None), streams


def _become(order: Order, tools: Tools, streams: list[int], connection: socket.socket) -> NoReturn:
    """Be the tool, in this fork."""
    code = 1
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        code = _main(order, tools, connection)
    except BaseException:  # noqa: BLE001 - the outermost loop of the tool's process
        traceback.print_exc()
    atexit._run_exitfuncs()  # noqa: SLF001 - what a process of its own would do at its end
    for stream_out in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream_out.flush()
    os._exit(code)


def _main(order: Order, tools: Tools, connection: socket.socket) -> int:
    """Run the tool as its console script does; return the exit code."""
    argv = order["argv"]
    os.chdir(order["cwd"])
    os.umask(order["umask"])
    os.environ.clear()
    os.environ.update(order["environment"])
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - a descriptor
    sys.argv = argv
    threading.Thread(target=_die_with, args=(connection,), name="watch shim", daemon=True).start()
    try:
        result = tools[argv[0]]()
    except SystemExit as end:
        result = end.code
    if result is None or isinstance(result, int):
        return int(result or 0) & 0xFF
    print(result, file=sys.stderr)  # noqa: T201 - as the interpreter does
    return 1


def _die_with(connection: socket.socket) -> None:
    """End when the shim is gone: whoever killed it meant the tool."""
    connection.recv(1)
    os._exit(KILLED)
