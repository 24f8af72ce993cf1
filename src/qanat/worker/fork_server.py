"""Runs programs in forks of a process that has all imported which they need: imports are paid once.

Whoever wants one run (``orders``) hands over arguments, environment, working directory and three standard streams, and
hears when the fork has started, as which process, and how it ended. A fork ends when whoever asked for it is gone, or
when the server is. Each starts from the same state of the server, which itself runs nothing, so nothing of one fork
reaches the next.

Programs that are over at once may be run one after another by the same fork (``Series``), for to fork costs more than
they do.
"""

import atexit
import contextlib
import logging
import os
import resource
import select
import selectors
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from qanat.worker import cheap_forks, processes
from qanat.worker.orders import ENDED, RSS_UNIT, STARTED, STREAMS, Order, hear, take_from_listener

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

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Watch for as long as the block takes."""
        over, end = os.pipe()

        def wait() -> None:
            ready, _, _ = select.select([*self.descriptors, over], [], [])
            if over not in ready:
                self._lost()

        watching = threading.Thread(target=wait, name="lifeline", daemon=True)
        watching.start()
        try:
            yield
        finally:
            os.close(end)
            watching.join()
            os.close(over)


Program = Callable[[Lifeline], object]
"""Runs in a fork; returns or exits as a console script does. It has its lifeline watched, or watches it itself."""
Take = Callable[[socket.socket], tuple[socket.socket, list[int]] | None]
"""Takes the next order's connection and standard streams from a server's socket; None where nobody will come again."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """Programs that a fork may run one after another, each as if it were the first.

    They have to be over by themselves, whatever others wait for, and to leave nothing behind in their process but what
    is set right here: standard streams, environment, directory and mask, random numbers, and how it logs.
    """

    listener: socket.socket
    """Where they are ordered."""
    programs: Mapping[str, Program]
    """Each has its lifeline watched for no longer than it runs."""
    at_once: int
    """Forks, at most."""


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
        series: Series | None = None,
    ) -> None:
        """Take orders from ``source``, until it closes or one of the descriptors ``lifeline`` does.

        ``killed`` is called when a fork was killed from outside. ``series`` is served beside ``programs``.

        Each fork leads a session where ``own_sessions`` is true; when it has to end, its session ends with it.
        """
        self._source = source
        self._take = take
        self._programs = programs
        self._lifeline = lifeline
        self._own_sessions = own_sessions
        self._killed = killed
        self._series = series
        self._in_series: set[int] = set()
        if series is not None:
            series.listener.setblocking(False)  # noqa: FBT003 - whoever calls may find one of the forks sooner
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
        cheap_forks.prepare(lasting=lasting)
        announce()
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake)
        selector = selectors.DefaultSelector()
        watched: list[socket.socket | int] = [self._source, self._woken, *self._lifeline]
        for source in watched:
            selector.register(source, selectors.EVENT_READ)
        while True:
            if self._series is not None:
                _look_where(len(self._in_series) < self._series.at_once, selector, self._series.listener)
            ready = {key.fileobj for key, _ in selector.select()}
            if not ready.isdisjoint(self._lifeline):
                self._end()
            if self._woken in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._woken, 4096)
                self._reap()
            if self._source in ready:
                self._answer()
            if self._series is not None and self._series.listener in ready:
                self._begin(self._series)

    def _end(self) -> NoReturn:
        """End; the forks see it and follow. What those of a series have used counts as this process' own children's."""
        os.close(self._held)
        for pid in self._in_series:
            os.waitpid(pid, 0)
        os._exit(0)

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
            if pid in self._children:
                with self._children.pop(pid) as connection, contextlib.suppress(OSError):
                    connection.sendall(ENDED.pack(code, cpu, used.ru_maxrss * RSS_UNIT))
            elif pid in self._in_series:
                self._in_series.discard(pid)  # Whoever has its other end sees it close.
            else:
                os._exit(1)  # Not one of the forks: a process that this one shares its life with.
            if code == -signal.SIGKILL:
                self._killed()

    def _answer(self) -> None:
        """Fork a program for the next order."""
        taken = self._take(self._source)
        if taken is None:
            os._exit(0)
        heard = _heard(*taken)
        if heard is None:
            return
        order, streams, connection = heard
        if pid := self._fork(order, streams, connection):
            self._children[pid] = connection
        else:
            self._become(order, streams, connection)

    def _begin(self, series: Series) -> None:
        """Fork for a series, whose next order a fork that has no other may have taken meanwhile."""
        taken = _take_waiting(series.listener)
        if taken is None:
            return
        order, streams, connection = taken
        if pid := self._fork(order, streams, connection):
            self._in_series.add(pid)
            connection.close()
        else:
            self._work_off(series, order, streams, connection)

    def _fork(self, order: Order, streams: list[int], connection: socket.socket) -> int:
        """Fork, say so, and leave the streams to the fork; return 0 there."""
        _settle_in(order)  # Here it costs a fraction of what it costs in each fork, of which it is to be true.
        if pid := os.fork():
            with contextlib.suppress(OSError):
                connection.sendall(STARTED.pack(pid))
            for stream in streams:
                os.close(stream)
            return pid
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for foreign in (self._source, *self._children.values()):
            foreign.close()
        for descriptor in (*self._lifeline, self._woken, self._wake, self._held):
            os.close(descriptor)
        if self._own_sessions:
            os.setsid()
        return 0

    def _become(self, order: Order, streams: list[int], connection: socket.socket) -> NoReturn:
        """Be the program, in this fork."""
        if self._series is not None:
            self._series.listener.close()
        lost = processes.kill_own_session if self._own_sessions else _exit_killed
        code = _perform(order, streams, self._programs, Lifeline((connection.fileno(), self._alive), lost))
        atexit._run_exitfuncs()  # noqa: SLF001 - what a process of its own would do at its end
        _flush()
        os._exit(code)

    def _work_off(self, series: Series, order: Order, streams: list[int], connection: socket.socket) -> NoReturn:
        """Be one program after the other, in this fork."""
        name = processes.name_of_this_process()
        log_as_before = _logging()
        selector = selectors.DefaultSelector()
        selector.register(series.listener, selectors.EVENT_READ)
        selector.register(self._alive, selectors.EVENT_READ)
        while True:
            before = resource.getrusage(resource.RUSAGE_SELF)
            lifeline = Lifeline((connection.fileno(), self._alive), _exit_killed)
            code = _perform(order, streams, series.programs, lifeline)
            log_as_before()
            _let_go_of_streams()
            processes.call_this_process(name)
            used = resource.getrusage(resource.RUSAGE_SELF)
            cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
            with connection, contextlib.suppress(OSError):
                connection.sendall(ENDED.pack(code, cpu, used.ru_maxrss * RSS_UNIT))
            order, streams, connection = self._next(series, selector)

    def _next(self, series: Series, selector: selectors.BaseSelector) -> tuple[Order, list[int], socket.socket]:
        """Wait for the next order of a series; this fork ends with its server."""
        while True:
            if self._alive in {key.fileobj for key, _ in selector.select()}:
                os._exit(0)
            taken = _take_waiting(series.listener)
            if taken is not None:
                order, _, connection = taken
                with contextlib.suppress(OSError):
                    connection.sendall(STARTED.pack(os.getpid()))
                _settle_in(order)
                return taken


def _look_where(wanted: bool, selector: selectors.BaseSelector, source: socket.socket) -> None:  # noqa: FBT001
    """Look at a source, or do not."""
    if wanted and source not in selector.get_map():
        selector.register(source, selectors.EVENT_READ)
    elif not wanted and source in selector.get_map():
        selector.unregister(source)


def _take_waiting(listener: socket.socket) -> tuple[Order, list[int], socket.socket] | None:
    """Take the next order, its streams and connection; None where another process has, or whoever asked is gone."""
    try:
        connection, streams = take_from_listener(listener)
    except BlockingIOError:
        return None
    return _heard(connection, streams)


def _heard(connection: socket.socket, streams: list[int]) -> tuple[Order, list[int], socket.socket] | None:
    """Hear the order over a connection; None, and all closed, where whoever asked died in mid-sentence."""
    order = hear(connection)
    if order is not None:
        return order, streams, connection
    connection.close()
    for stream in streams:
        os.close(stream)
    return None


def _settle_in(order: Order) -> None:
    """Give this process an order's environment, and random numbers of its own."""
    for name in os.environ.keys() - order.environment.keys():
        del os.environ[name]
    for name, value in order.environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()  # Python's own generator sees to itself.


def _perform(order: Order, streams: list[int], programs: Mapping[str, Program], lifeline: Lifeline) -> int:
    """Run a program with its streams, whatever it raises; return the exit code."""
    code = 1
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        code = _run(order, programs, lifeline)
    except BaseException:  # noqa: BLE001 - the outermost loop of a process
        traceback.print_exc()
    _flush()
    return code


def _run(order: Order, programs: Mapping[str, Program], lifeline: Lifeline) -> int:
    """Run a program as its console script does; return the exit code."""
    os.chdir(order.cwd)
    os.umask(order.umask)
    tempfile.tempdir = None
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


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


def _let_go_of_streams() -> None:
    """Hold open no pipe of a program that has ended: somebody may wait for it to close."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(STREAMS):
        os.dup2(nothing, number)
    os.close(nothing)


def _logging() -> Callable[[], None]:
    """Return what makes this process log again as it does now; the kernel's tools set all loggers there are."""

    def loggers() -> list[logging.Logger]:
        known = logging.root.manager.loggerDict.values()
        return [logging.root, *(logger for logger in known if isinstance(logger, logging.Logger))]

    now = {logger: (logger.level, logger.propagate, [*logger.handlers]) for logger in loggers()}

    def restore() -> None:
        for logger in loggers():
            level, propagate, handlers = now.get(logger, (logging.NOTSET, True, []))
            logger.propagate, logger.handlers[:] = propagate, handlers
            if logger.level != level:
                logger.setLevel(level)

    return restore


def _exit_killed() -> None:
    os._exit(KILLED)
