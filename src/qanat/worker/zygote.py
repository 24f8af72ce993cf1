"""A warm process that forks the runners of steps: ``python -m qanat.worker.zygote DESCRIPTOR``.

It has the kernel and its tools imported, which takes seconds of a core, and serves its supervisor alone, over one end
of a pair of sockets. It runs no step itself.
"""

import socket
import sys
import threading
from pathlib import Path
from typing import Final

from qanat.worker import processes, runner, tool_server
from qanat.worker.fork_server import ForkServer, take_from_parent
from qanat.worker.kernel import (
    numba_cache,
    oasislmf,  # noqa: F401 - that is what being warm means
)

RUN_STEP: Final = "run-step"
READY: Final = b"!"


def main(descriptor: int) -> None:
    """Serve until the supervisor is gone."""
    processes.call_this_process("qanat zygote")
    control = socket.socket(fileno=descriptor)
    tools = tool_server.load()
    numba_cache.load_all(packages={tool_server.DISTRIBUTION})

    def run_step(watch: threading.Thread) -> int:
        return runner.main(Path(sys.argv[1]), watch=watch, tools=tools)

    control.sendall(READY)
    ForkServer(control, take_from_parent, {RUN_STEP: run_step}, own_sessions=True).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]))
