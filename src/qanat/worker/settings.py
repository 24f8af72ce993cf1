"""The worker's settings from the environment, completed by what lies on this host."""

import os
from pathlib import Path

from qanat.configuration.sources import BadSettings, Sources
from qanat.configuration.worker import DEFAULT_MODEL_DIR, INTERNAL, WorkerSettings

__all__ = ["BadSettings", "ModelNotSaid", "WorkerSettings", "from_environment"]


class ModelNotSaid(Exception):
    """give either --model DIR or --run-mode server-internal, which needs no model."""

    def __init__(self) -> None:
        """Say that."""
        super().__init__(type(self).__doc__)


def from_environment(model_dir: Path | None, **given: object) -> WorkerSettings:
    """Return the settings: what is given beats the environment, which beats the defaults.

    Raises:
        BadSettings: a value is malformed.
        ModelNotSaid: it is not said which model to run, or said of the internal worker, which runs none.
    """
    settings = WorkerSettings.read(Sources.read(os.environ), {"model_dir": model_dir, **given})
    if settings.mode == INTERNAL and model_dir is not None:
        raise ModelNotSaid
    return settings.model_copy(update={"model_dir": _model_dir(settings), "worker_key": _worker_key(settings)})


def _model_dir(settings: WorkerSettings) -> Path | None:
    """Return where the model lies, or None for the internal worker."""
    if settings.mode == INTERNAL:
        return None
    found = settings.model_dir or (DEFAULT_MODEL_DIR if DEFAULT_MODEL_DIR.is_dir() else None)
    if found is None:
        raise ModelNotSaid
    return found.resolve()


def _worker_key(settings: WorkerSettings) -> str:
    """Return the key that is given, else the one in the data directory of this host."""
    if settings.worker_key or settings.data_dir is None:
        return settings.worker_key
    path = settings.data_dir / "worker_key"
    return path.read_text().strip() if path.is_file() else ""
