"""What a thread waits for, by the system call that it is in; known on Linux only, on the machines in ``CALLS``."""

import contextlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CALLS: Final[Mapping[str, Mapping[str, str]]] = {
    "x86_64": {
        "0": "read",
        "1": "write",
        "2": "open",
        "23": "select",
        "45": "receive",
        "61": "wait",
        "202": "lock",
        "232": "epoll",
        "247": "wait",
        "257": "openat",
        "270": "select",
        "281": "epoll",
    },
    "aarch64": {
        "22": "epoll",
        "56": "openat",
        "63": "read",
        "64": "write",
        "72": "select",
        "95": "wait",
        "98": "lock",
        "207": "receive",
        "260": "wait",
    },
}
"""The system calls in which a process of a pipeline may wait for another one, by machine and number."""
TIMEOUT: Final = {"select": 4, "epoll": 3, "lock": 3}
"""Which argument of a call says how long it waits at most."""
CURRENT_FOLDER: Final = -100
"""What ``openat`` takes in place of a descriptor."""
LONGEST_PATH: Final = 4096
INT: Final = 2**32
NO_TIMEOUT: Final = {"select": (0,), "epoll": (INT - 1, INT**2 - 1), "lock": (0,)}
"""What that argument is where it waits without end: no address, or -1."""

Pipe = tuple[int, int]
"""Device and inode."""


@dataclass(frozen=True, kw_only=True)
class Wait:
    """What a thread waits for, for as long as it takes."""

    call: str
    """``open``, ``read``, ``write``: a pipe; ``wait``: a child; ``receive``, ``select``, ``epoll``, ``lock``."""
    pipes: frozenset[Pipe] = frozenset()
    opens: Path | None = None
    """A named pipe that nobody has opened at the other end."""


def wait_of(pid: int, thread: int) -> Wait | None:
    """Return what a thread of a process waits for; None where it runs, waits for so long only, or for anything else.

    Raises:
        OSError: it has ended, or is not for us to see.
    """
    number, _, rest = Path(f"/proc/{pid}/task/{thread}/syscall").read_text().strip().partition(" ")
    call = CALLS.get(os.uname().machine, {}).get(number)
    arguments = [int(word, 16) for word in rest.split()]
    if call is None or (call in TIMEOUT and arguments[TIMEOUT[call]] not in NO_TIMEOUT[call]):
        return None
    if call == "open":
        return _opening(pid, Path("cwd"), arguments[0])
    if call == "openat":
        folder = arguments[0] % INT
        return _opening(pid, Path("cwd" if folder == CURRENT_FOLDER % INT else f"fd/{folder}"), arguments[1])
    if call in {"read", "write"}:
        found = pipe(Path(f"/proc/{pid}/fd/{arguments[0] % INT}"))
        return Wait(call=call, pipes=frozenset({found})) if found else None
    return Wait(call=call)


def threads(pid: int) -> list[int]:
    """Return the threads of a process.

    Raises:
        OSError: it has ended.
    """
    return [int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()]


def turns(pid: int, thread: int) -> int:
    """Return how often a thread of a process has been given the processor.

    Raises:
        OSError: it has ended.
    """
    lines = Path(f"/proc/{pid}/task/{thread}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if "ctxt_switches:" in line)


def pipe(path: Path) -> Pipe | None:
    """Return which pipe lies at a path, or None where none does."""
    found = path.stat()
    return (found.st_dev, found.st_ino) if stat.S_ISFIFO(found.st_mode) else None


def pipes_of(pid: int) -> set[Pipe]:
    """Return the pipes that a process has open, as far as they are for us to see."""
    found = set()
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(pipe(descriptor))
    return {one for one in found if one is not None}


def _opening(pid: int, folder: Path, address: int) -> Wait | None:
    """Return the wait of a process that opens a path, which stands at an address in its memory."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        name = os.fsdecode(memory.read(LONGEST_PATH).partition(b"\0")[0])
    path = Path(f"/proc/{pid}") / folder / name
    found = pipe(path)
    return Wait(call="open", pipes=frozenset({found}), opens=path.resolve()) if found else None
