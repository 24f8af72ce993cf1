"""The child that runs one step: ``python -m qanat.worker.runner SPEC.json``, or ``--warm`` to wait for its order.

It leads a session of its own, so that the kernel's run script, which on failure kills its whole process group, can kill
nothing else, and so that whoever supervises it can end everything that the step started. It watches a pipe: when the
supervisor is gone, the session goes too.
"""

import errno
import json
import logging
import os
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any, Final

from qanat.contract import tasks
from qanat.contract.statuses import FailureClass
from qanat.worker import processes, tool_server
from qanat.worker.identity import ModelIdentity, identify
from qanat.worker.kernel.port import ExposureRefused, Kernel, KernelError, NoKeys
from qanat.worker.run_dir import RESULT
from qanat.worker.steps.base import StepJob
from qanat.worker.steps.table import STEPS

NEEDS_TOOLS: Final = frozenset({tasks.RUN_ANALYSIS, tasks.GENERATE_LOSSES_CHUNK, tasks.GENERATE_LOSSES_OUTPUT})
"""Tasks in which the kernel's run script starts its tools."""
EXIT_FAILED: Final = 3
"""The step failed and the result says why."""


def main(spec_path: Path) -> int:
    """Run the step that a spec describes; return the exit code."""
    spec = json.loads(spec_path.read_text())
    if spec["task"] in NEEDS_TOOLS:
        tool_server.start(spec_path.parent, tool_server.load())  # It forks, so it comes before the first thread.
    _die_with_supervisor(spec.get("supervisor_fd"))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    directory = spec_path.parent
    job = _job(spec, directory)
    result: dict[str, Any] = {}
    try:
        STEPS[job.task](job)
    except Exception as error:
        result = _failure(error)
        logging.getLogger(__name__).exception("The step failed")
    result["outputs"] = {label: str(path) for label, path in job.outputs.items()}
    result["facts"] = job.facts
    temporary = directory / f".{RESULT}"
    temporary.write_text(json.dumps(result))
    temporary.replace(directory / RESULT)
    return EXIT_FAILED if "failure_class" in result else 0


def _job(spec: dict[str, Any], directory: Path) -> StepJob:
    model = identify(
        Path(spec["model_dir"]),
        supplier_id=spec["supplier_id"],
        model_id=spec["model_id"],
        version_id=spec["version_id"],
        config=Path(spec["config_path"]),
        settings_file=Path(spec["settings_path"]) if spec["settings_path"] else None,
    )
    return StepJob(
        task=spec["task"],
        index=spec["index"],
        count=spec["count"],
        loss_chunks=spec["loss_chunks"],
        parameters=spec["parameters"],
        inputs={label: Path(path) for label, path in spec["inputs"].items()},
        directory=directory,
        model=model,
        kernel=lambda: _kernel(model),
        analysis_id=spec.get("analysis_id"),
    )


def _kernel(model: ModelIdentity) -> Kernel:
    from qanat.worker.kernel.oasislmf import OasisKernel  # noqa: PLC0415 - seconds, which light steps need not pay

    return OasisKernel(model)


def _failure(error: Exception) -> dict[str, Any]:
    match error:
        case NoKeys():
            failure_class, message = FailureClass.INPUT, str(error)
        case ExposureRefused():
            failure_class, message = FailureClass.INPUT, str(error)
        case KernelError():
            failure_class, message = FailureClass.MODEL, str(error)
        case MemoryError():
            failure_class, message = FailureClass.OUT_OF_MEMORY, "The step needs more memory than there is."
        case OSError(errno=errno.ENOSPC):
            failure_class = FailureClass.INFRASTRUCTURE
            message = "The worker's disk is full: free some room in its work directory; the step is tried again."
        case _:
            failure_class, message = FailureClass.MODEL, f"{type(error).__name__}: {error}"
    return {
        "failure_class": failure_class,
        "message": message,
        "traceback": traceback.format_exc(),
        "no_keys": isinstance(error, NoKeys),
    }


def _die_with_supervisor(descriptor: int | None) -> None:
    """End the whole session when the other end of the pipe closes."""
    if descriptor is None:
        return

    def watch() -> None:
        os.read(descriptor, 1)
        processes.kill_own_session()

    threading.Thread(target=watch, name="watch supervisor", daemon=True).start()


def _wait_warm() -> Path:
    """Import kernel and tools, wait for an order, and take up its directory, log and temporary folder."""
    from qanat.worker.kernel import oasislmf  # noqa: F401, PLC0415 - that is what being warm means

    tool_server.load()

    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    order = json.loads(line)
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    os.environ["TMPDIR"] = order["temporary"]
    tempfile.tempdir = None
    spec = Path(order["spec"])
    os.chdir(spec.parent)
    return spec


if __name__ == "__main__":
    sys.exit(main(_wait_warm() if sys.argv[1] == "--warm" else Path(sys.argv[1])))
