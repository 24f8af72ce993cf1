"""The statuses that clients, workers and the engine speak of."""

from enum import StrEnum


class AnalysisStatus(StrEnum):
    """Where an analysis stands, as clients see it (wire contract, section 2.1)."""

    NEW = "NEW"
    INPUTS_GENERATION_QUEUED = "INPUTS_GENERATION_QUEUED"
    INPUTS_GENERATION_STARTED = "INPUTS_GENERATION_STARTED"
    INPUTS_GENERATION_ERROR = "INPUTS_GENERATION_ERROR"
    INPUTS_GENERATION_NO_KEYS = "INPUTS_GENERATION_NO_KEYS"
    INPUTS_GENERATION_CANCELLED = "INPUTS_GENERATION_CANCELLED"
    READY = "READY"
    RUN_QUEUED = "RUN_QUEUED"
    RUN_STARTED = "RUN_STARTED"
    RUN_COMPLETED = "RUN_COMPLETED"
    RUN_ERROR = "RUN_ERROR"
    RUN_CANCELLED = "RUN_CANCELLED"


class ExposureStatus(StrEnum):
    """Where a task on a portfolio's exposure stands, as clients see it (wire contract, section 1.4)."""

    NONE = "NONE"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"
    STARTED = "STARTED"
    ERROR = "ERROR"
    RUN_COMPLETED = "RUN_COMPLETED"


class SubTaskStatus(StrEnum):
    """Where a sub-task stands, as clients see it (wire contract, section 4.3)."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    STARTED = "STARTED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    ERROR = "ERROR"


class RunMode(StrEnum):
    """How an analysis is executed: by one worker as a whole (V1), or in sub-tasks (V2)."""

    V1 = "V1"
    V2 = "V2"


class RunKind(StrEnum):
    """What a run produces."""

    INPUTS = "inputs"
    LOSSES = "losses"
    BOTH = "both"
    COMBINE = "combine"
    VALIDATION = "validation"
    EXPOSURE = "exposure"
    TRANSFORM = "transform"


class OwnerKind(StrEnum):
    """What a run is of."""

    ANALYSIS = "analysis"
    PORTFOLIO = "portfolio"


class Phase(StrEnum):
    """What a step is part of: a half of an analysis, or a task on a portfolio's exposure."""

    INPUTS = "inputs"
    LOSSES = "losses"
    VALIDATION = "validation"
    EXPOSURE = "exposure"
    TRANSFORM = "transform"


class RunState(StrEnum):
    """The engine's own view of a run: submitted -> active -> one of three ends."""

    SUBMITTED = "submitted"
    ACTIVE = "active"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepState(StrEnum):
    """The engine's own view of a step."""

    WAITING = "waiting"
    READY = "ready"
    SENT = "sent"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class FailureClass(StrEnum):
    """Why an attempt failed; decides whether and how the step is tried again (``domain.retries``)."""

    INFRASTRUCTURE = "infrastructure"
    OUT_OF_MEMORY = "out-of-memory"
    MODEL = "model"
    INPUT = "input"
    WORKER_LOST = "worker-lost"
