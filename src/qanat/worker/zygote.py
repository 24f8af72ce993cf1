"""Two warm processes that steps are forked from: ``python -m qanat.worker.zygote STEPS TOOLS``, two descriptors.

The first has those kernel tools imported that nearly every pipeline is made of, and forks their server for each step
that needs one. Its child has imported the rest of the kernel on top, and forks the runners of steps. Imports take
seconds of a core; and a fork costs the more the more its parent has in memory, so the many small tools have the small
one. They serve their supervisor alone, each over one end of a pair of sockets, live and die together, and run no step
themselves.
"""

import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

from qanat.worker import processes, tool_server
from qanat.worker.fork_server import ForkServer, Lifeline
from qanat.worker.kernel import late_imports, numba_cache
from qanat.worker.orders import take_from_parent
from qanat.worker.zygotes import PID, RUN_STEP


def main(steps: int, tools: int) -> NoReturn:
    """Serve until the supervisor is gone."""
    processes.call_this_process("qanat zygote")
    for_tools = socket.socket(fileno=tools)
    for_steps = socket.socket(fileno=steps)
    light = tool_server.load(tool_server.LIGHT)
    late_imports.load(late_imports.TOOLS)
    numba_cache.load_all(packages={tool_server.DISTRIBUTION})
    numba_cache.know_types()
    this = os.getpid()
    if os.fork() == 0:
        for_tools.close()
        _serve_steps(for_steps, parent=os.pidfd_open(this))
    for_steps.close()

    def serve_tools(lifeline: Lifeline) -> None:
        # Where it serves is what it is given as standard input and output.
        listener, series = (socket.socket(fileno=os.dup(number)) for number in (0, 1))
        os.dup2(2, 1)
        tool_server.serve(listener, light, series=series, lifeline=lifeline.descriptors)

    ForkServer(for_tools, take_from_parent, {tool_server.SERVE_TOOLS: serve_tools}, own_sessions=True).serve(
        lasting=True
    )


def _serve_steps(control: socket.socket, *, parent: int) -> NoReturn:
    # The parent is to be without it.
    from qanat.worker import runner  # noqa: PLC0415
    from qanat.worker.kernel import oasislmf  # noqa: F401, PLC0415

    tools = tool_server.load()
    late_imports.load(late_imports.STEPS)
    numba_cache.load_all(packages={tool_server.DISTRIBUTION, "qanat"})

    def run_step(lifeline: Lifeline) -> int:
        return runner.main(Path(sys.argv[1]), lifeline=lifeline, tools=tools)

    def send_word() -> None:
        control.sendall(PID.pack(os.getpid()))

    server = ForkServer(control, take_from_parent, {RUN_STEP: run_step}, lifeline=(parent,), own_sessions=True)
    # Only now, for how much memory it has then is what it is later compared with.
    server.serve(lasting=True, announce=send_word)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
