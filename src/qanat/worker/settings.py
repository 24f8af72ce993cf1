"""The worker's settings; the only reader of the worker's environment."""

import os
import socket
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from qanat.contract.statuses import RunMode


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_work_dir() -> Path:
    """Return where steps run where nobody says: one folder for each user of this host."""
    return Path(tempfile.gettempdir()) / f"qanat-worker-{os.getuid()}"


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """All that a worker needs to know."""

    model_dir: Path | None = None
    """Where the model lies; None: this is the internal worker, which needs none."""
    server: str = "http://127.0.0.1:8000/"
    """Base of the API, with or without ``/api/``."""
    broker: str = "memory://"
    worker_key: str = ""
    supplier_id: str | None = None
    model_id: str | None = None
    version_id: str | None = None
    config: Path | None = None
    """The kernel's configuration, where it is not in the model's directory under its usual name."""
    settings_file: Path | None = None
    """The model settings, likewise."""
    run_mode: RunMode = RunMode.V2
    """The mode that a new model gets when it registers; work of either mode is taken."""
    work_dir: Path = field(default_factory=default_work_dir)
    slots: int = field(default_factory=usable_cores)
    """How many steps for one core run at a time; one that is for all cores runs alone."""
    warm_seconds: float | None = None
    """How long a process that has the kernel imported is kept after its last step; None is for ever, from the start."""
    name: str = field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}")
    kill_after_seconds: float = 10.0
    """What a step gets between TERM and KILL."""
    parent_fd: int | None = None
    """A pipe that closes when the process that started the worker is gone; the worker then drains."""


def from_environment(model_dir: Path | None, **given: object) -> WorkerSettings:
    """Return the settings: what is given beats the environment, which beats the defaults."""
    read = {
        "server": os.environ.get("QANAT_SERVER"),
        "broker": os.environ.get("QANAT_BROKER_URL"),
        "worker_key": os.environ.get("QANAT_WORKER_KEY"),
        "supplier_id": os.environ.get("OASIS_MODEL_SUPPLIER_ID"),
        "model_id": os.environ.get("OASIS_MODEL_ID"),
        "version_id": os.environ.get("OASIS_MODEL_VERSION_ID"),
    }
    seconds = os.environ.get("QANAT_WARM_SECONDS")
    paths = {"config": os.environ.get("OASISLMF_CONFIG"), "settings_file": os.environ.get("MODEL_SETTINGS_FILE")}
    values: dict[str, object] = {name: value for name, value in read.items() if value}
    values |= {"warm_seconds": float(seconds)} if seconds else {}
    values |= {name: Path(value) for name, value in paths.items() if value}
    values |= {name: value for name, value in given.items() if value is not None}
    return WorkerSettings(model_dir=model_dir and model_dir.resolve(), **values)  # type: ignore[arg-type]
