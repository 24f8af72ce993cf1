"""A process with a tool server of small tools, and a shell that calls them: ``python -m ... FOLDER SCRIPT [SHIM]``."""

import os
import selectors
import signal
import subprocess
import sys
import threading
from pathlib import Path

from qanat.worker import tool_server


def upper() -> None:
    sys.stdout.write(sys.stdin.read().upper())


def look() -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        selector.select()
    upper()


def where() -> None:
    mask = os.umask(0)
    said = " ".join([str(Path.cwd()), str(os.environ.get("COLOUR")), oct(mask), *sys.argv[1:]])
    sys.stdout.buffer.write(os.fsencode(f"{said}\n"))


def leave() -> None:
    sys.exit(int(sys.argv[1]))


def complain() -> str:
    return "out of ink"


def stumble() -> None:
    message = "over a stone"
    raise ValueError(message)


def drop() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def linger() -> None:
    Path(sys.argv[1]).write_text(str(os.getpid()))
    threading.Event().wait()


def main(folder: Path, script: str, shim: Path | None) -> int:
    tools: tool_server.Tools = {
        tool.__name__: tool for tool in (upper, look, where, leave, complain, stumble, drop, linger)
    }
    tool_server.start(folder, tools, shim=shim)
    return subprocess.run(["/bin/sh", "-c", script], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]) if sys.argv[3:] else None))
