"""Stands in for one of the kernel's tools on a step's PATH: ``python -I -S shim.py SERVER REAL NAME ARGUMENT...``.

Hands arguments, environment, working directory and standard streams to the step's tool server (``tool_server``), which
runs the tool in a fork of itself, and ends as the tool ends: with its exit code, or by the same signal. Where the
server is gone the real tool takes over. It starts some fifty times a step, so it imports next to nothing: neither
``fork_server``, whose protocol it speaks, nor ``json``, ``signal`` and ``socket``, which would more than double its
cost, but what these are made of.
"""

import _signal  # type: ignore[import-not-found] # a part of every CPython
import _socket
import os
import sys
from _json import encode_basestring_ascii as quoted

STARTED_BYTES = 4
ENDED_BYTES = 20
EXIT_CODE_BYTES = 4


def main(server: str, real: str, argv: list[str]) -> int:
    """Run a tool through the server; return its exit code."""
    cwd = os.getcwd()  # noqa: PTH109 - pathlib would take longer to import than all the rest
    umask = os.umask(0)
    os.umask(umask)
    folder, name = os.path.split(server)
    connection = _socket.socket(_socket.AF_UNIX)
    try:
        os.chdir(folder)  # A socket's address has room for some hundred characters only.
        connection.connect(name)
    except OSError:
        os.chdir(cwd)
        os.execv(os.path.join(real, argv[0]), [os.path.join(real, argv[0]), *argv[1:]])  # noqa: PTH118, S606 - as asked
    variables = ",".join(f"{quoted(name)}:{quoted(value)}" for name, value in os.environ.items())
    arguments = ",".join(map(quoted, argv))
    body = f'{{"argv":[{arguments}],"cwd":{quoted(cwd)},"environment":{{{variables}}},"umask":{umask}}}'.encode()
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
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
