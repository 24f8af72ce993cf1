"""Names of the Celery tasks, each written once, and the types of what they carry.

Names of sub-tasks and of the registration tasks are those of the wire contract (sections 4.2, 4.5 and 5.1); fields of
payloads are only ever added, so that old and new processes understand each other during a rolling restart.
"""

from typing import Any, Final, NotRequired, TypedDict

# Doorbells of our own: they carry ids, never facts.
WAKE_CONTROLLER: Final = "qanat.wake_controller"
RUN_STEP: Final = "qanat.run_step"
RECORD_STEP: Final = "qanat.record_step"
HOUSEKEEPING: Final = "qanat.housekeeping"
DISCARD_UNFINISHED: Final = "qanat.discard_unfinished"
QUEUE_DIGEST: Final = "qanat.queue_digest"

# Registration of model workers.
REGISTER_V1: Final = "run_register_worker"
REGISTER_V2: Final = "run_register_worker_v2"

# What stock workers send while they work (wire contract, sections 4.3 and 4.5): signs of life that end nothing.
SET_TASK_STATUS: Final = "set_task_status"
SET_TASK_STATUS_V2: Final = "set_task_status_v2"
RECORD_SUB_TASK_START: Final = "record_sub_task_start"
UPDATE_TASK_ID: Final = "update_task_id"
SET_SUBTASK_STATUS: Final = "set_subtask_status"
SUBTASK_ERROR_LOG: Final = "subtask_error_log"
SUBTASK_RETRY_LOG: Final = "subtask_retry_log"
RECORD_INPUT_ERROR_FILES: Final = "record_input_error_files"
RECORD_LOSSES_ERROR_FILES: Final = "record_losses_error_files"

# What their messages bring back: links that the server sends along, with a token in them.
ON_ERROR: Final = "on_error"
"""Of the stock V1 worker: hands a failure's traceback to the task that it is told."""
STOCK_DONE: Final = "qanat.stock_done"
STOCK_FAILED: Final = "qanat.stock_failed"
STOCK_TRACEBACK: Final = "qanat.stock_traceback"

# V1: one task does the whole of a phase.
GENERATE_INPUT: Final = "generate_input"
RUN_ANALYSIS: Final = "run_analysis"
RECORD_GENERATE_INPUT: Final = "record_generate_input_result"
RECORD_RUN_ANALYSIS: Final = "record_run_analysis_result"

# V2: generation of inputs.
PREPARE_INPUT_GENERATION_PARAMS: Final = "prepare_input_generation_params"
PRE_ANALYSIS_HOOK: Final = "pre_analysis_hook"
PREPARE_KEYS_FILE_CHUNK: Final = "prepare_keys_file_chunk"
COLLECT_KEYS: Final = "collect_keys"
WRITE_INPUT_FILES: Final = "write_input_files"
RECORD_INPUT_FILES: Final = "record_input_files"
CLEANUP_INPUT_GENERATION: Final = "cleanup_input_generation"

# V2: losses.
PREPARE_LOSSES_GENERATION_PARAMS: Final = "prepare_losses_generation_params"
PREPARE_LOSSES_GENERATION_DIRECTORY: Final = "prepare_losses_generation_directory"
GENERATE_LOSSES_CHUNK: Final = "generate_losses_chunk"
GENERATE_LOSSES_OUTPUT: Final = "generate_losses_output"
RECORD_LOSSES_FILES: Final = "record_losses_files"
CLEANUP_LOSSES_GENERATION: Final = "cleanup_losses_generation"

# What the internal worker does: one task does the whole of it, and the worker monitor records it.
VALIDATE_EXPOSURE: Final = "run_oed_validation"
RUN_EXPOSURE: Final = "run_exposure_run"
TRANSFORM_EXPOSURE: Final = "run_exposure_transform"
COMBINE: Final = "run_combine"
RECORD_VALIDATION: Final = "qanat.record_validation"
RECORD_EXPOSURE_RUN: Final = "qanat.record_exposure_run"
RECORD_TRANSFORM: Final = "qanat.record_transform"
RECORD_COMBINE: Final = "qanat.record_combine"


class StepDoorbell(TypedDict):
    """Arguments of ``RUN_STEP`` and ``RECORD_STEP``: a step may be claimed with this fence."""

    step_id: int
    fence: int


class WorkDoorbell(StepDoorbell):
    """What a model worker gets of it: with a hint by which it plans, and on which nothing depends."""

    alone: NotRequired[bool]
    """The step uses all cores of a worker by itself; others wait until it is done."""


class WorkerVersions(TypedDict):
    """What a worker reports of its software; the keys are those of the wire contract, section 5.1."""

    oasislmf: str
    ktools: str
    platform: str
    # The two remaining keys contain a dash: "ods-tools" and "oed-schema".


class Registration(TypedDict):
    """Keyword form of the positional arguments of ``REGISTER_V1`` and ``REGISTER_V2``."""

    supplier: str
    model: str
    version: str
    settings: dict[str, Any] | None
    versions: dict[str, str]
    config: dict[str, Any] | None
