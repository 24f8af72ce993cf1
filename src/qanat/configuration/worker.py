"""The settings of a worker."""

import os
import socket
import uuid
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

from qanat.configuration.broker import BrokerSettings
from qanat.configuration.cores import usable_cores
from qanat.configuration.logs import LogSettings
from qanat.configuration.names import Bare, Hidden, Key, OfWorker, Own
from qanat.configuration.places import default_work_dir
from qanat.configuration.values import AnyCase
from qanat.contract.statuses import RunMode
from qanat.logs import Level

INTERNAL: Final = "server-internal"
"""The run mode of the worker that needs no model (wire contract, section 5.2)."""
DEFAULT_MODEL_DIR: Final = Path("/home/worker/model")
"""Where the images of models have theirs (wire contract, section 5.3)."""


class WorkerSettings(BrokerSettings, LogSettings):
    """What a worker runs, where, and for whom."""

    model_config = ConfigDict(frozen=True)
    reader: ClassVar = "The worker"

    mode: Annotated[AnyCase[Literal["v1", "v2", "server-internal"]], Key("worker", "RUN_MODE", in_ini=False), Own()] = (
        "v2"
    )
    """The mode that a new model gets when it registers (work of either mode is taken); ``server-internal``: this is the
    internal worker, which needs no model."""
    model_dir: Annotated[Path | None, Key("worker", "MODEL_DATA_DIRECTORY"), Own()] = None
    """Where the model lies; without it ``/home/worker/model``, if that is there."""
    supplier_id: Annotated[str | None, Key("worker", "MODEL_SUPPLIER_ID", in_ini=False), Own()] = None
    """The model's supplier, where its folder does not say."""
    model_id: Annotated[str | None, Key("worker", "MODEL_ID", in_ini=False), Own()] = None
    """The model's name, likewise."""
    version_id: Annotated[str | None, Key("worker", "MODEL_VERSION_ID", in_ini=False), Own()] = None
    """The model's version, likewise."""
    config: Annotated[Path | None, Key("worker", "OASISLMF_CONFIG"), Bare(("OASISLMF_CONFIG",)), Own()] = None
    """The kernel's configuration, where it is not in the model's directory under its usual name."""
    settings_file: Annotated[
        Path | None, Key("worker", "MODEL_SETTINGS_FILE"), Bare(("MODEL_SETTINGS_FILE",)), Own()
    ] = None
    """The model settings, likewise."""
    disable_worker_reg: Annotated[OfWorker[bool], Own()] = False
    """Do not register the model: somebody else has."""
    debug: OfWorker[bool] = False
    """Log all there is to say, the kernel's tables too."""
    package_log_level: Annotated[OfWorker[AnyCase[Level] | None], Own()] = None
    """What of the kernel goes into the logs of steps, as ``QANAT_LOG_LEVEL`` has it; ``info``, or ``debug`` with
    ``OASIS_DEBUG``."""
    server: str = "http://127.0.0.1:8000/"
    """Base of the API, with or without ``/api/``."""
    data_dir: Path | None = None
    """Where the platform of this host keeps its data, and with it the worker key."""
    worker_key: Annotated[str, Hidden()] = Field(default="", repr=False)
    """The server's; empty: the one in ``worker_key`` of the data directory."""
    work_dir: Annotated[Path, Key("worker", "BASE_RUN_DIR"), Own()] = Field(default_factory=default_work_dir)
    """Where steps run; without it a folder of the user's among the system's temporary ones."""
    keep_run_dir: Annotated[OfWorker[bool], Own()] = False
    """Keep the directories of V1's steps that have gone well too, as long and as many as those of failed ones."""
    keep_local_data: Annotated[OfWorker[bool], Own()] = False
    """Likewise of all other steps."""
    kept_days: float = Field(default=7.0, ge=0)
    """How long the directory of a step that has failed is kept, in ``kept`` of the work directory; 0: not at all."""
    kept_bytes: int = Field(default=2 * 2**30, ge=0)
    """How much all that is kept may take, and never more than a tenth of the disk; the oldest goes first."""
    slots: Annotated[int, Bare(("OASIS_CELERY_CONCURRENCY",)), Own()] = Field(default_factory=usable_cores, ge=1)
    """How many steps for one core run at a time; one that is for all cores runs alone. Without it as many as there are
    cores."""
    warm_seconds: float | None = None
    """How long a process that has imported the kernel is kept after its last step, in seconds; without it for ever,
    from the start."""
    name: Annotated[str, Own()] = Field(
        default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    )
    """What the server knows this worker as."""
    kill_after_seconds: Annotated[float, Own()] = 10.0
    """What a step gets between TERM and KILL."""
    parent_fd: Annotated[int | None, Own()] = None
    """A pipe that closes when the process that started the worker is gone; the worker then drains."""

    @property
    def own_level(self) -> Level:
        """What of its own the worker logs."""
        return "debug" if self.debug else self.log_level

    @property
    def kernel_level(self) -> Level:
        """What of the kernel goes into the logs of steps."""
        return self.package_log_level or ("debug" if self.debug else "info")

    @property
    def run_mode(self) -> RunMode:
        """The mode that a new model is registered with."""
        return RunMode.V1 if self.mode == "v1" else RunMode.V2
