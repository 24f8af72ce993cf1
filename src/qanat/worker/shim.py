"""Stands in for one of the kernel's tools on a step's PATH: ``python -I -S shim.py NAME ARGUMENT...``.

Hands arguments, environment, working directory and standard streams to the step's server of that tool (a socket of its
name in the folder ``KERNEL_TOOLS``; ``tool_server``), which runs it in a fork of itself, and ends as it ends: with
its exit code, or by the same signal. Where no server is to be had the tool next on PATH takes over. It starts some
fifty times a step, so it imports next to nothing: neither ``orders``, whose protocol it speaks, nor ``signal`` and
``socket``, which would double its cost, but what these are made of. Where there is a C compiler ``shim.c`` does it in a
tenth of the time.
"""

import _signal  # type: ignore[import-not-found] # a part of every CPython
import _socket
import os
import sys

STARTED_BYTES = 4
ENDED_BYTES = 20
EXIT_CODE_BYTES = 4


def main(argv: list[str]) -> int:
    """Run a tool through its server; return its exit code."""
    cwd = os.getcwd()  # noqa: PTH109 - pathlib would take longer to import than all the rest
    umask = os.umask(0)
    os.umask(umask)
    connection = _socket.socket(_socket.AF_UNIX)
    try:
        os.chdir(os.environ.get("KERNEL_TOOLS", ""))  # A socket's address has room for some hundred characters only.
        connection.connect(argv[0])
    except OSError:
        os.chdir(cwd)
        _, _, os.environ["PATH"] = os.environ["PATH"].partition(os.pathsep)
        os.execvp(argv[0], argv)  # noqa: S606 - as asked
    variables = [b"%b=%b" % variable for variable in os.environb.items()]
    fields = [os.fsencode(cwd), b"%d" % umask, b"%d" % len(argv), *map(os.fsencode, argv), *variables]
    body = b"".join(field + b"\0" for field in fields)
    streams = b"".join(number.to_bytes(4, sys.byteorder) for number in range(3))
    connection.sendmsg([b"."], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
    connection.sendall(len(body).to_bytes(4, "big") + body)
    # The tool has its own now; held here, they would keep pipes open that it closes.
    os.close(0)
    os.close(1)
    connection.recv(STARTED_BYTES, _socket.MSG_WAITALL)
    answer = connection.recv(ENDED_BYTES, _socket.MSG_WAITALL)
    if len(answer) < ENDED_BYTES:
        os.kill(os.getpid(), _signal.SIGKILL)  # The server is gone, and the tool with it.
    code = int.from_bytes(answer[:EXIT_CODE_BYTES], "big", signed=True)
    if code < 0:
        _signal.signal(-code, _signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
