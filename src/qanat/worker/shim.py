"""Stands in for one of the kernel's tools on a step's PATH: ``python -I -S shim.py SERVER REAL NAME ARGUMENT...``.

Hands arguments, environment, working directory and standard streams to the step's tool server (``tool_server``), which
runs the tool in a fork of itself, and ends as the tool ends: with its exit code, or by the same signal. Where the
server is gone the real tool takes over. It starts some fifty times a step, so it imports next to nothing: not even
``fork_server``, whose protocol it speaks.
"""

import json
import os
import signal
import socket
import sys

STARTED_BYTES = 4
ENDED_BYTES = 20
EXIT_CODE_BYTES = 4


def main(server: str, real: str, argv: list[str]) -> int:
    """Run a tool through the server; return its exit code."""
    cwd = os.getcwd()  # noqa: PTH109 - pathlib would take longer to import than all the rest
    umask = os.umask(0)
    os.umask(umask)
    folder, name = os.path.split(server)
    connection = socket.socket(socket.AF_UNIX)
    try:
        os.chdir(folder)  # A socket's address has room for some hundred characters only.
        connection.connect(name)
    except OSError:
        os.chdir(cwd)
        os.execv(os.path.join(real, argv[0]), [os.path.join(real, argv[0]), *argv[1:]])  # noqa: PTH118, S606 - as asked
    body = json.dumps({"argv": argv, "cwd": cwd, "environment": dict(os.environ), "umask": umask}).encode()
    socket.send_fds(connection, [b"."], [0, 1, 2])
    connection.sendall(len(body).to_bytes(4, "big") + body)
    # The tool has its own now; held here, they would keep pipes open that it closes.
    os.close(0)
    os.close(1)
    connection.recv(STARTED_BYTES, socket.MSG_WAITALL)
    answer = connection.recv(ENDED_BYTES, socket.MSG_WAITALL)
    if len(answer) < ENDED_BYTES:
        os.kill(os.getpid(), signal.SIGKILL)  # The server is gone, and the tool with it.
    code = int.from_bytes(answer[:EXIT_CODE_BYTES], "big", signed=True)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
