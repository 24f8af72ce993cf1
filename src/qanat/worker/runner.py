"""The child that runs one step: a fork of the zygote, or ``python -m qanat.worker.runner SPEC.json DESCRIPTOR``.

It leads a session of its own, so that the kernel's run script, which on failure kills its whole process group, can kill
nothing else, and so that whoever supervises it can end everything that the step started. It watches a pipe or socket
(DESCRIPTOR): when the supervisor is gone, the session goes too.
"""

import errno
import functools
import json
import logging
import sys
import traceback
from pathlib import Path
from typing import Any, Final

from qanat.contract.statuses import FailureClass
from qanat.worker import processes, tool_server
from qanat.worker.fork_server import Lifeline
from qanat.worker.identity import ModelIdentity
from qanat.worker.kernel.port import ExposureRefused, Kernel, KernelError, NoKeys, ProcessLost
from qanat.worker.run_dir import DISK_IS_FULL, EXIT_DISK_FULL, RESULT
from qanat.worker.runner_spec import RunnerSpec
from qanat.worker.steps.base import StepJob
from qanat.worker.steps.table import STEPS

EXIT_FAILED: Final = 3
"""The step failed and the result says why."""


def main(spec_path: Path, *, lifeline: Lifeline, tools: tool_server.Tools | None = None) -> int:
    """Run the step that a spec describes; return the exit code.

    Args:
        spec_path: the spec, in the attempt's directory.
        lifeline: ends this process' session when the supervisor is gone; nobody watches it yet.
        tools: the kernel's tools where they are imported already.
    """
    spec = RunnerSpec.read(spec_path)
    server = None
    if spec.task in tool_server.NEEDS_TOOLS:
        # It forks, so it precedes the first thread.
        shim = Path(spec.shim) if spec.shim else None
        server = tool_server.start(spec_path.parent, tools or tool_server.load(), shim=shim)
    lifeline.watch()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    directory = spec_path.parent
    job = _job(spec, directory)
    result: dict[str, Any] = {}
    try:
        STEPS[job.task](job)
    except Exception as error:
        result = _failure(error)
        logging.getLogger(__name__).exception("The step failed")
    if server is not None:
        server.close()
    result["outputs"] = {label: str(path) for label, path in job.outputs.items()}
    result["facts"] = job.facts
    temporary = directory / f".{RESULT}"
    try:
        temporary.write_text(json.dumps(result))
        temporary.replace(directory / RESULT)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return EXIT_DISK_FULL
        raise
    return EXIT_FAILED if "failure_class" in result else 0


def _job(spec: RunnerSpec, directory: Path) -> StepJob:
    model = spec.model()
    return StepJob(
        task=spec.task,
        index=spec.index,
        count=spec.count,
        writes=tuple(spec.writes),
        parameters=dict(spec.parameters),
        inputs={label: Path(path) for label, path in spec.inputs.items()},
        directory=directory,
        model=model,
        kernel=functools.cache(functools.partial(_kernel, model, spec.kernel_level)),
    )


def _kernel(model: ModelIdentity, log_level: str) -> Kernel:
    from qanat.worker.kernel.oasislmf import OasisKernel  # noqa: PLC0415 - seconds, which light steps need not pay

    return OasisKernel(model, log_level=log_level)


def _failure(error: Exception) -> dict[str, Any]:
    match error:
        case NoKeys():
            failure_class, message = FailureClass.INPUT, str(error)
        case ExposureRefused():
            failure_class, message = FailureClass.INPUT, str(error)
        case ProcessLost():
            failure_class, message = FailureClass.WORKER_LOST, str(error)
        case KernelError():
            failure_class, message = FailureClass.MODEL, str(error)
        case MemoryError():
            failure_class, message = FailureClass.OUT_OF_MEMORY, "The step needs more memory than there is."
        case OSError(errno=errno.ENOSPC):
            failure_class, message = FailureClass.INFRASTRUCTURE, DISK_IS_FULL
        case _:
            failure_class, message = FailureClass.MODEL, f"{type(error).__name__}: {error}"
    return {
        "failure_class": failure_class,
        "message": message,
        "traceback": traceback.format_exc(),
        "no_keys": isinstance(error, NoKeys),
    }


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), lifeline=Lifeline((int(sys.argv[2]),), processes.kill_own_session)))
