"""Which function does which sub-task."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from qanat.contract import tasks
from qanat.worker.errors import ModelFailed
from qanat.worker.steps import inputs, losses, whole
from qanat.worker.steps.workbench import Workbench

StepFunction = Callable[[Workbench], dict[str, Any]]

STEPS: Final[Mapping[str, StepFunction]] = {
    tasks.GENERATE_INPUT: whole.generate_input,
    tasks.RUN_ANALYSIS: whole.run_analysis,
    tasks.PREPARE_INPUT_GENERATION_PARAMS: inputs.check_parameters,
    tasks.PRE_ANALYSIS_HOOK: inputs.pre_analysis,
    tasks.PREPARE_KEYS_FILE_CHUNK: inputs.keys_chunk,
    tasks.COLLECT_KEYS: inputs.collect_keys,
    tasks.WRITE_INPUT_FILES: inputs.write_input_files,
    tasks.CLEANUP_INPUT_GENERATION: inputs.nothing,
    tasks.PREPARE_LOSSES_GENERATION_PARAMS: losses.check_parameters,
    tasks.PREPARE_LOSSES_GENERATION_DIRECTORY: losses.prepare_directory,
    tasks.GENERATE_LOSSES_CHUNK: losses.loss_chunk,
    tasks.GENERATE_LOSSES_OUTPUT: losses.output,
    tasks.CLEANUP_LOSSES_GENERATION: inputs.nothing,
}


def step_for(task: str) -> StepFunction:
    """Return the function that does ``task``.

    Raises:
        ModelFailed: no sub-task of a model worker has this name; server and worker are of different versions.
    """
    try:
        return STEPS[task]
    except KeyError:
        message = f"This worker does not know the sub-task '{task}'. Update the worker to the server's version."
        raise ModelFailed(message) from None
