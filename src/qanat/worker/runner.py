"""The child that runs one step: ``python -m qanat.worker.runner SPEC.json``.

It is the leader of its own session, so that it and everything the kernel starts can be stopped together; the kernel's run
script kills its whole process group when it fails. It holds the read end of a pipe whose write end only the supervisor
holds: end of file there means that the supervisor is dead, and the whole session ends at once.
"""

import errno
import logging
import os
import signal
import sys
import threading
import traceback
from pathlib import Path

from qanat.contract.statuses import FailureClass
from qanat.worker.errors import StepFailure
from qanat.worker.identity import ModelDirectory, ModelIdentity
from qanat.worker.job import Answer, Spec
from qanat.worker.kernel.port import Kernel
from qanat.worker.steps.table import step_for
from qanat.worker.steps.workbench import Workbench

DEATH_WATCH_VARIABLE = "QANAT_RUNNER_DEATH_FD"
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

log = logging.getLogger("qanat.worker.runner")


def main(arguments: list[str]) -> int:
    """Run the step described in the file named by the only argument; return 0 where it succeeded."""
    spec = Spec.read(Path(arguments[0]))
    watch = os.environ.pop(DEATH_WATCH_VARIABLE, "")
    if watch:
        end_with_supervisor(int(watch))
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, stream=sys.stderr)
    answer = run(spec)
    answer.write(spec.answer)
    return 0 if answer.failure_class is None else 1


def run(spec: Spec) -> Answer:
    """Run the step and return how it went; only ``KeyboardInterrupt`` and ``SystemExit`` get out."""
    directory = ModelDirectory(
        directory=spec.model.directory,
        # The step knows its model by its files; who it is matters to the supervisor only.
        identity=ModelIdentity(supplier_id="", model_id="", version_id=""),
        config_file=spec.model.config_file,
        settings_file=spec.model.settings_file,
    )

    def make_kernel() -> Kernel:
        # The adapter's import is cheap, what it imports when used is not.
        from qanat.worker.kernel.oasislmf import OasislmfKernel  # noqa: PLC0415

        return OasislmfKernel(directory, analysis_id=spec.job.analysis_id)

    bench = Workbench(job=spec.job, model=directory, make_kernel=make_kernel)
    log.info("Step %s begins.", spec.job.slug)
    try:
        result = step_for(spec.job.task)(bench)
    except StepFailure as error:
        log.exception("Step %s failed.", spec.job.slug)
        return Answer(
            outputs=bench.made,
            failure_class=error.failure_class,
            message=str(error),
            traceback=traceback.format_exc(),
            no_keys=error.no_keys,
        )
    except Exception as error:  # noqa: BLE001 - the outermost loop: whatever the model raises becomes an answer
        log.exception("Step %s failed.", spec.job.slug)
        return Answer(
            outputs=bench.made,
            failure_class=_class_of(error),
            message=_sentence(error),
            traceback=traceback.format_exc(),
        )
    log.info("Step %s is done.", spec.job.slug)
    return Answer(outputs=bench.made, result=result)


def end_with_supervisor(descriptor: int) -> None:
    """Kill this process' whole session as soon as ``descriptor`` reaches its end."""
    # The kernel's tools must not inherit it: reading ends would do no harm, but a descriptor is a descriptor.
    os.set_inheritable(descriptor, False)

    def watch() -> None:
        while True:
            try:
                if not os.read(descriptor, 1):
                    break
            except InterruptedError:
                continue
            except OSError:
                break
        # Nobody is left who could stop them one by one; the kernel's tools are all in this process group or its session.
        from qanat.worker.processes import kill_own_session  # noqa: PLC0415 - imports psutil, rarely needed

        kill_own_session()

    threading.Thread(target=watch, name="death watch", daemon=True).start()


def _class_of(error: Exception) -> FailureClass:
    if isinstance(error, MemoryError):
        return FailureClass.OUT_OF_MEMORY
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return FailureClass.INFRASTRUCTURE
    return FailureClass.MODEL


def _sentence(error: Exception) -> str:
    match _class_of(error):
        case FailureClass.OUT_OF_MEMORY:
            return "The step ran out of memory."
        case FailureClass.INFRASTRUCTURE:
            return f"The disk of the worker is full: {error}."
        case _:
            return f"The model failed: {type(error).__name__}: {error}"


if __name__ == "__main__":
    # A terminal's interrupt goes to the supervisor, which decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(main(sys.argv[1:]))
