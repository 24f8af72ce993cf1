"""Which function does which task."""

from collections.abc import Callable
from typing import Final

from qanat.contract import tasks
from qanat.worker.steps import combining, exposure, inputs, losses
from qanat.worker.steps.base import StepJob

STEPS: Final[dict[str, Callable[[StepJob], None]]] = {
    tasks.GENERATE_INPUT: inputs.whole,
    tasks.PREPARE_INPUT_GENERATION_PARAMS: inputs.prepare_params,
    tasks.PRE_ANALYSIS_HOOK: inputs.pre_analysis,
    tasks.PREPARE_KEYS_FILE_CHUNK: inputs.keys_chunk,
    tasks.COLLECT_KEYS: inputs.collect_keys,
    tasks.WRITE_INPUT_FILES: inputs.write_files,
    tasks.CLEANUP_INPUT_GENERATION: inputs.cleanup,
    tasks.RUN_ANALYSIS: losses.whole,
    tasks.PREPARE_LOSSES_GENERATION_PARAMS: losses.prepare_params,
    tasks.PREPARE_LOSSES_GENERATION_DIRECTORY: losses.prepare_directory,
    tasks.GENERATE_LOSSES_CHUNK: losses.chunk,
    tasks.GENERATE_LOSSES_OUTPUT: losses.output,
    tasks.CLEANUP_LOSSES_GENERATION: losses.cleanup,
    tasks.VALIDATE_EXPOSURE: exposure.validate,
    tasks.RUN_EXPOSURE: exposure.run,
    tasks.TRANSFORM_EXPOSURE: exposure.transform,
    tasks.COMBINE: combining.combine,
}
