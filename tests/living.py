"""Which processes live: one may end between two questions about it."""

import psutil


def lives(process: psutil.Process) -> bool:
    """Say whether a process is there and has not ended; one that nobody has buried yet has."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
