"""A process with a tool server of small tools, and a shell that calls them."""

import argparse
import fcntl
import logging
import os
import random
import resource
import selectors
import signal
import subprocess
import sys
import threading
import time
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


def process() -> None:
    sys.stdout.write(f"{os.getpid()}\n")


def shout() -> None:
    """Set what a tool sets of its process, and do not put it back."""
    os.environ["COLOUR"] = "red"
    os.chdir("/")
    os.umask(0o077)
    random.seed(1)
    logging.root.setLevel(logging.DEBUG)
    logging.getLogger("shout").addHandler(logging.StreamHandler())
    sys.argv[:] = ["shout"]


def logs() -> None:
    sys.stdout.write(f"{logging.root.level} {logging.getLogger('shout').handlers}\n")


def fmpy() -> None:
    """Say how much its pipes hold; named like one of those that pass on much."""
    sys.stdout.write(f"{fcntl.fcntl(0, fcntl.F_GETPIPE_SZ)} {fcntl.fcntl(1, fcntl.F_GETPIPE_SZ)}\n")


def burn() -> None:
    while time.process_time() < float(sys.argv[1]):
        pass


TOOLS = (upper, look, where, leave, complain, stumble, drop, linger, process, shout, logs, fmpy, burn)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("script")
    parser.add_argument("--shim", type=Path)
    parser.add_argument("--in-series", nargs="*", choices=[tool.__name__ for tool in TOOLS], default=[])
    options = parser.parse_args()
    tools: tool_server.Tools = {tool.__name__: tool for tool in TOOLS}
    if options.in_series:
        setattr(tool_server, "IN_SERIES", frozenset(options.in_series))  # noqa: B010 - a constant elsewhere
    server = tool_server.start(options.folder, tools, shim=options.shim)
    code = subprocess.run(["/bin/sh", "-c", options.script], check=False).returncode
    if server is not None:
        server.close()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    (options.folder / "cpu").write_text(str(used.ru_utime + used.ru_stime))
    return code


if __name__ == "__main__":
    sys.exit(main())
