"""Orders to a fork server, and its answers: what travels between it and whoever wants a program run.

An order is a socket for the answers, three standard streams, and the program with its arguments and surroundings. The
first answer is the process that runs it, the second how that ended. Whoever gave the order lets go of the program by
closing the socket.
"""

import contextlib
import os
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

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


def hear(connection: socket.socket) -> Order | None:
    """Return an order; None where whoever gave it died meanwhile."""
    head = connection.recv(LENGTH.size, socket.MSG_WAITALL)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = connection.recv(length, socket.MSG_WAITALL)
    if len(body) < length:
        return None
    return Order.decode(body)
