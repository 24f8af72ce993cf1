"""What steps need of the kernel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol


class KernelError(Exception):
    """The kernel or the model's own code failed."""


class ProcessLost(KernelError):
    """A process that worked for the kernel was killed; neither kernel nor model has failed."""


class ExposureRefused(Exception):
    """The exposure or the settings are such that running them again cannot help; the message says what and where."""


class NoKeys(Exception):
    """No location has a key: the model covers none of the exposure."""


@dataclass(frozen=True, kw_only=True)
class InputsJob:
    """What input generation works on; paths are of this attempt's directory."""

    directory: Path
    """Where the files are generated."""
    exposure: Mapping[str, Path]
    """OED files by label; after a pre-analysis hook, its results."""
    prepared: Path | None = None
    """Folder with the exposure as a pre-analysis hook left it, if the model has one."""
    settings: Path | None = None
    currency: Path | None = None
    reporting_currency: str | None = None
    user_data: Path | None = None


INPUTS: Final = "input"
"""Where a run directory has its inputs. The kernel copies what lies elsewhere."""
WORK: Final = "work"
"""Of a run directory: what the kernel's processes have written, from which the reports are made."""


@dataclass(frozen=True, kw_only=True)
class LossesJob:
    """What losses work on."""

    run_directory: Path
    """With the unpacked input archive in ``INPUTS``."""
    settings: Path | None = None
    """As posted; once the run directory is there, the settings in it are what counts."""
    user_data: Path | None = None
    processes: int = 1
    progress: str | None = None
    """Where the kernel is to post how many events are done."""


class Kernel(Protocol):
    """The sub-tasks' verbs. All raise KernelError, ExposureRefused or NoKeys."""

    @property
    def has_pre_analysis(self) -> bool:
        """Whether the model brings a pre-analysis hook."""

    @property
    def model_data(self) -> Path | None:
        """The model's data directory, if its configuration names one."""

    def pre_analysis(self, job: InputsJob, *, target: Path) -> None:
        """Run the model's pre-analysis hook and save the exposure as it left it."""

    def slice_exposure(self, job: InputsJob, *, targets: Sequence[Path]) -> None:
        """Read the exposure once and share its locations out, in order, among parquet files."""

    def keys(self, job: InputsJob, *, keys: Path, errors: Path, locations: Path | None = None) -> int:
        """Look up the keys of a slice (``locations``) or of the whole exposure; return the number of its locations."""

    def write_inputs(self, job: InputsJob, *, keys: Path, errors: Path) -> None:
        """Write the input files of all locations."""

    def losses(self, job: LossesJob) -> None:
        """Do the whole of the losses."""

    def losses_directory(self, job: LossesJob) -> None:
        """Prepare the run directory, and in it the settings with all defaults filled in."""

    def losses_chunk(self, job: LossesJob, *, index: int, count: int) -> None:
        """Compute one of ``count`` chunks of the events."""

    def losses_output(self, job: LossesJob) -> None:
        """Make the reports of the chunks in the run directory."""
