"""Runs programs in forks of a process that has all imported which they need: imports are paid once.

Who wants a program run hands over arguments, environment, working directory and three standard streams, and hears when
the fork has started, as which process, and how it ended. A fork ends when whoever asked for it is gone, or when the
server is. Nothing of one fork reaches the next: each starts from the same state of the server, which itself runs
nothing.
"""

import atexit
import contextlib
import ctypes
import gc
import os
import select
import selectors
import signal
import socket
import struct
import sys
import tempfile
import threading
import traceback
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, Self

from qanat.worker import huge_pages, processes

STREAMS: Final = 3
LENGTH: Final = struct.Struct("!I")
"""Before an order: how many bytes follow."""
STARTED: Final = struct.Struct("!i")
"""The first answer: the process that runs the program."""
ENDED: Final = struct.Struct("!idq")
"""The second: exit code (negative: a signal), CPU time in seconds, largest resident memory in bytes."""
RSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024
START_SECONDS: Final = 120.0
"""A server that has not started a program by then, imports included, never will."""
KILLED: Final = 137


class Lifeline:
    """What a fork must not outlive: whoever asked for it, and the server that forked it."""

    def __init__(self, descriptors: tuple[int, ...], lost: Callable[[], None]) -> None:
        """Know what becomes readable when one of them is gone, and what is to be done then."""
        self.descriptors = descriptors
        self._lost = lost

    def watch(self) -> None:
        """Watch from a thread. A program that forks calls it when it need not fork any more: forks copy one thread."""

        def wait() -> None:
            select.select(self.descriptors, [], [])
            self._lost()

        threading.Thread(target=wait, name="lifeline", daemon=True).start()


Program = Callable[[Lifeline], object]
"""Runs in a fork; returns or exits as a console script does. It has its lifeline watched, or watches it itself."""
Take = Callable[[socket.socket], tuple[socket.socket, list[int]] | None]
"""Takes the next order's connection and standard streams from a server's socket; None where nobody will come again."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to run, and where."""

    argv: Sequence[str]
    """The program's name and its arguments."""
    cwd: str
    environment: Mapping[str, str]
    umask: int

    def encode(self) -> bytes:
        """Return it as it travels: strings that end with a zero byte, which no argument can contain.

        Directory, mask, number of arguments, arguments, and ``name=value`` for each variable (``shim.c``).
        """
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        fields = [self.cwd, str(self.umask), str(len(self.argv)), *self.argv, *variables]
        return b"".join(os.fsencode(field) + b"\0" for field in fields)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read what ``encode`` returns."""
        cwd, umask, count, *rest = map(os.fsdecode, body.split(b"\0")[:-1])
        variables = (variable.partition("=") for variable in rest[int(count) :])
        environment = {name: value for name, _, value in variables if name}
        return cls(argv=rest[: int(count)], cwd=cwd, environment=environment, umask=int(umask))


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a process ended: exit code (negative: the signal), CPU time (seconds), largest resident memory (bytes)."""

    exit_code: int
    cpu_seconds: float
    peak_memory_bytes: int


class ServerGone(Exception):
    """The fork server ended, and with it the program; or it does not answer."""


class Forked:
    """A program that a fork server runs for this process; ``close`` ends it."""

    def __init__(self, connection: socket.socket, order: Order) -> None:
        """Ask for a program over a connection whose other end the server has taken.

        Raises:
            ServerGone: the server is no more.
        """
        self._connection = connection
        connection.settimeout(START_SECONDS)
        body = order.encode()
        try:
            connection.sendall(LENGTH.pack(len(body)) + body)
        except OSError as error:
            raise ServerGone(str(error)) from error
        (self.pid,) = STARTED.unpack(self._hear(STARTED.size))
        connection.settimeout(None)

    def wait(self) -> Ended:
        """Wait for the end of the program.

        Raises:
            ServerGone: the server is no more.
        """
        code, cpu, memory = ENDED.unpack(self._hear(ENDED.size))
        return Ended(exit_code=code, cpu_seconds=cpu, peak_memory_bytes=memory)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the program has ended."""
        return self._connection.fileno()

    def stop(self) -> Ended:
        """Let go of the program, which thereupon ends, and wait for that.

        Raises:
            ServerGone: the server is no more.
        """
        with contextlib.suppress(OSError):  # it is gone already
            self._connection.shutdown(socket.SHUT_WR)
        return self.wait()

    def close(self) -> None:
        """Let go of the program: if it still runs, it ends."""
        self._connection.close()

    def _hear(self, size: int) -> bytes:
        try:
            answer = self._connection.recv(size, socket.MSG_WAITALL)
        except OSError as error:
            raise ServerGone(str(error)) from error
        if len(answer) < size:
            message = "the fork server closed the connection"
            raise ServerGone(message)
        return answer


class ForkServer:
    """Forks a program for each order until nobody needs it any more."""

    def __init__(  # noqa: PLR0913 - what it serves, for whom, and how long
        self,
        source: socket.socket,
        take: Take,
        programs: Mapping[str, Program],
        *,
        lifeline: tuple[int, ...] = (),
        own_sessions: bool,
        killed: Callable[[], object] = lambda: None,
    ) -> None:
        """Take orders from ``source``, until it closes or one of the descriptors ``lifeline`` does.

        ``killed`` is called when a fork was killed from outside.

        Each fork leads a session where ``own_sessions`` is true; when it has to end, its session ends with it.
        """
        self._source = source
        self._take = take
        self._programs = programs
        self._lifeline = lifeline
        self._own_sessions = own_sessions
        self._killed = killed
        self._children: dict[int, socket.socket] = {}
        self._alive, self._held = os.pipe()
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)

    def serve(self, *, lasting: bool = False, announce: Callable[[], object] = lambda: None) -> NoReturn:
        """Serve, and end this process when there is nobody left to serve.

        Args:
            lasting: it serves for long, so that what makes its forks quicker may take a moment.
            announce: called when nothing but orders is left to be done.
        """
        _settle()
        if lasting:
            huge_pages.collapse()
        announce()
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake)
        selector = selectors.DefaultSelector()
        watched: list[socket.socket | int] = [self._source, self._woken, *self._lifeline]
        for source in watched:
            selector.register(source, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if not ready.isdisjoint(self._lifeline):
                os._exit(0)  # The forks see it and follow.
            if self._woken in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._woken, 4096)
                self._reap()
            if self._source in ready:
                self._answer()

    def _reap(self) -> None:
        """Tell those who wait for the forks that have ended how they did."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            code, cpu = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
            if pid not in self._children:
                os._exit(1)  # Not one of the forks: a process that this one shares its life with.
            with self._children.pop(pid) as connection, contextlib.suppress(OSError):
                connection.sendall(ENDED.pack(code, cpu, used.ru_maxrss * RSS_UNIT))
            if code == -signal.SIGKILL:
                self._killed()

    def _answer(self) -> None:
        """Fork a program for the next order."""
        taken = self._take(self._source)
        if taken is None:
            os._exit(0)
        connection, streams = taken
        order = _hear(connection)
        if order is None:
            connection.close()  # Whoever asked died in mid-sentence.
        elif pid := os.fork():
            self._children[pid] = connection
            with contextlib.suppress(OSError):
                connection.sendall(STARTED.pack(pid))
        else:
            self._become(order, streams, connection)
        for stream in streams:
            os.close(stream)

    def _become(self, order: Order, streams: list[int], connection: socket.socket) -> NoReturn:
        """Be the program, in this fork."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for foreign in (self._source, *self._children.values()):
            foreign.close()
        for descriptor in (*self._lifeline, self._woken, self._wake, self._held):
            os.close(descriptor)
        if self._own_sessions:
            os.setsid()
        lost = processes.kill_own_session if self._own_sessions else _exit_killed
        lifeline = Lifeline((connection.fileno(), self._alive), lost)
        code = 1
        try:
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            code = _run(order, self._programs, lifeline)
        except BaseException:  # noqa: BLE001 - the outermost loop of a process
            traceback.print_exc()
        atexit._run_exitfuncs()  # noqa: SLF001 - what a process of its own would do at its end
        for stream_out in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream_out.flush()
        os._exit(code)


def _settle() -> None:
    """Have forks share as much as can be of this process' memory, and copy as little as can be of it."""
    gc.collect()
    gc.freeze()  # The collector would touch, and so copy, all that the forks share.
    # So would what is to be done at this process' end; it ends without, and at a fork's end only its own is to be done.
    weakref.finalize._registry.clear()  # type: ignore[attr-defined] # noqa: SLF001 - there is no other way
    with contextlib.suppress(AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)  # What imports and compiled functions left free need not be copied.


def take_from_listener(listener: socket.socket) -> tuple[socket.socket, list[int]]:
    """Take an order from whoever connects."""
    connection, _ = listener.accept()
    _, streams, _, _ = socket.recv_fds(connection, 1, STREAMS)
    return connection, streams


def take_from_parent(control: socket.socket) -> tuple[socket.socket, list[int]] | None:
    """Take an order from the process at the other end of a pair of sockets, which hands over a connection for each."""
    try:
        mark, descriptors, _, _ = socket.recv_fds(control, 1, 1 + STREAMS)
    except ConnectionResetError:
        return None
    if not mark:
        return None
    return socket.socket(fileno=descriptors[0]), descriptors[1:]


def hand_to_child(control: socket.socket, order: Order, streams: list[int]) -> Forked:
    """Ask the fork server at the other end of a pair of sockets for a program.

    Raises:
        ServerGone: the server is no more.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            socket.send_fds(control, [b"."], [theirs.fileno(), *streams])
        except OSError as error:
            ours.close()
            raise ServerGone(str(error)) from error
    try:
        return Forked(ours, order)
    except ServerGone:
        ours.close()
        raise


def _hear(connection: socket.socket) -> Order | None:
    """Return an order; None where whoever gave it died meanwhile."""
    head = connection.recv(LENGTH.size, socket.MSG_WAITALL)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = connection.recv(length, socket.MSG_WAITALL)
    if len(body) < length:
        return None
    return Order.decode(body)


def _run(order: Order, programs: Mapping[str, Program], lifeline: Lifeline) -> int:
    """Run a program as its console script does; return the exit code."""
    os.chdir(order.cwd)
    os.umask(order.umask)
    os.environ.clear()
    os.environ.update(order.environment)
    tempfile.tempdir = None
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()  # Python's own generator sees to itself.
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - a descriptor
    sys.argv = list(order.argv)
    processes.call_this_process(order.argv[0])
    try:
        result = programs[order.argv[0]](lifeline)
    except SystemExit as end:
        result = end.code
    if result is None or isinstance(result, int):
        return int(result or 0) & 0xFF
    print(result, file=sys.stderr)  # noqa: T201 - as the interpreter does
    return 1


def _exit_killed() -> None:
    os._exit(KILLED)
