"""Why a step cannot be done: a failure class for the engine and a sentence for the user."""

from qanat.contract.statuses import FailureClass


class StepFailure(Exception):
    """A step failed for a known reason; ``str()`` is the sentence that the user reads."""

    failure_class = FailureClass.MODEL

    def __init__(self, message: str, *, no_keys: bool = False) -> None:
        """Keep the sentence, and whether the failure is that no location found a key."""
        super().__init__(message)
        self.no_keys = no_keys


class InputRejected(StepFailure):
    """What the user supplied cannot be used; the same bytes would fail the same way."""

    failure_class = FailureClass.INPUT


class ModelFailed(StepFailure):
    """The model or the kernel failed."""

    failure_class = FailureClass.MODEL


class InfrastructureFailed(StepFailure):
    """The machine failed: disk, storage, network. Not held against the model."""

    failure_class = FailureClass.INFRASTRUCTURE


class OutOfMemory(StepFailure):
    """The step needed more memory than it may use."""

    failure_class = FailureClass.OUT_OF_MEMORY


class ModelDirectoryUnusable(Exception):
    """The directory given as a model is not one; the sentence says what is missing, where, and what to do."""
