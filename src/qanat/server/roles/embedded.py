"""All roles of one host from one warm image: Django is imported once, then each role is forked.

So the platform is ready in seconds and its processes share most of their memory. A role that dies is forked anew; when
the process that started this one is gone, so are all.
"""

import contextlib
import json
import logging
import os
import selectors
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from django.db import connections

from qanat import logs
from qanat.server.roles import preparation, single
from qanat.server.roles.forking import keep_shared
from qanat.server.roles.lifeline import Lifeline

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
STEADY_AFTER_SECONDS = 30.0
STOP_SECONDS = 8.0


@dataclass
class Child:
    """A role's process."""

    role: str
    pid: int = 0
    started: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS
    due: float = 0.0


@dataclass
class Family:
    """The forked roles."""

    ports: dict[str, object]
    lifeline: Lifeline = field(default_factory=Lifeline)
    children: dict[str, Child] = field(default_factory=dict)

    def start(self, role: str) -> None:
        """Fork a role."""
        child = self.children.setdefault(role, Child(role=role))
        pid = os.fork()
        if pid == 0:
            os._exit(self._live(role))
        child.pid = pid
        child.started = time.monotonic()

    def _live(self, role: str) -> int:
        """Be the role; return the exit code."""
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.set_wakeup_fd(-1)
            self.lifeline.hold()
            logs.process_is(role)
            sys.argv = [f"qanat {role}"]
            _show_as(sys.argv[0])
            single.SERVING[role](**self.ports)
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else 0
        except BaseException:  # the outermost of the process
            logger.exception("It ends")
            return 1
        return 0

    def reap(self, *, now: float) -> None:
        """Note who has died and when to start it again."""
        for child in self.children.values():
            if child.pid and os.waitpid(child.pid, os.WNOHANG)[0]:
                logger.warning("%s died and is started again", child.role)
                child.pid = 0
                steady = now - child.started > STEADY_AFTER_SECONDS
                child.pause = FIRST_PAUSE_SECONDS if steady else min(child.pause * 2, LONGEST_PAUSE_SECONDS)
                child.due = now + child.pause

    def restart_due(self, *, now: float) -> float | None:
        """Start whoever is due; return how long to wait for the next, or None where nobody waits."""
        waiting = [child for child in self.children.values() if not child.pid]
        for child in waiting:
            if child.due <= now:
                self.start(child.role)
        left = [child.due - now for child in waiting if not child.pid]
        return min(left, default=None)

    def stop(self) -> None:
        """End all: TERM, and KILL for whoever takes too long."""
        alive = [child for child in self.children.values() if child.pid]
        for child in alive:
            _signal(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while alive and time.monotonic() < deadline:
            alive = [child for child in alive if not os.waitpid(child.pid, os.WNOHANG)[0]]
            if alive:
                signal.sigtimedwait({signal.SIGCHLD}, 0.2)
        for child in alive:
            _signal(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)


def run(*, host: str, port: int, websocket_port: int, report: str | None, parent_fd: int | None) -> int:
    """Migrate, make the first administrator, fork the roles, and keep them alive until told to stop."""
    admin = preparation.prepare(migrate=True)
    connections.close_all()
    wake_reader, wake_writer = os.pipe()
    for descriptor in (wake_reader, wake_writer):
        os.set_blocking(descriptor, False)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_writer)
    family = Family(ports={"host": host, "port": port, "websocket_port": websocket_port})
    keep_shared()
    for role in single.SERVING:
        family.start(role)
    if report:
        listening = f"http://{host}:{port}"
        _write(Path(report), {**asdict(admin), "listening": listening})
    with selectors.DefaultSelector() as events:
        events.register(wake_reader, selectors.EVENT_READ)
        if parent_fd is not None:
            events.register(parent_fd, selectors.EVENT_READ)
        while not stopping.is_set():
            family.reap(now=time.monotonic())
            pause = family.restart_due(now=time.monotonic())
            for key, _ in events.select(pause):
                if key.fd == wake_reader:
                    os.read(wake_reader, 4096)
                else:
                    stopping.set()
    family.stop()
    return 0


def _show_as(name: str) -> None:
    """Let process listings show this process by a name, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(name)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _write(path: Path, document: dict[str, object]) -> None:
    """Write a file that only its owner may read, as a whole."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(document, stream)
    temporary.replace(path)
