"""How often this host has killed a process for want of memory: in the worker's own control group, if it has one."""

from pathlib import Path
from typing import Final

CGROUPS: Final = Path("/sys/fs/cgroup")
OWN_CGROUP: Final = Path("/proc/self/cgroup")
VIRTUAL_MEMORY: Final = Path("/proc/vmstat")


def oom_kills() -> int:
    """Return how many processes have been killed for want of memory so far; 0 where the host does not say."""
    return _count(_events_of_own_group()) or _count(VIRTUAL_MEMORY)


def _events_of_own_group() -> Path:
    try:
        lines = OWN_CGROUP.read_text().splitlines()
    except OSError:
        return VIRTUAL_MEMORY
    unified = [line.removeprefix("0::") for line in lines if line.startswith("0::")]
    group = unified[0].lstrip("/") if unified else ""
    return CGROUPS / group / "memory.events"


def _count(path: Path) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
