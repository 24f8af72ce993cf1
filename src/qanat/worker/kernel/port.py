"""What the steps need of the loss kernel.

Every method works in directories of one attempt and leaves nothing elsewhere. Failures are ``InputRejected`` for what the
user supplied, ``ModelFailed`` for the model or the kernel.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """The OED files of a portfolio, and how their currencies are converted."""

    files: Mapping[str, Path]
    """Kernel parameter (``oed_location_csv`` ...) -> path."""
    prepared: Path | None = None
    """Directory left by the model's pre-analysis hook; it then replaces ``files``."""
    reporting_currency: str | None = None
    currency_conversion: Path | None = None


@dataclass(frozen=True, kw_only=True)
class KeysWritten:
    """Keys of some locations, as CSV files, and the ids of the locations that were looked up."""

    keys: Path
    errors: Path
    location_ids: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class LossChunk:
    """One part of the events: process ``number`` of ``of``, or all of them in ``of`` processes (``number`` None)."""

    number: int | None
    of: int


class Kernel(Protocol):
    """The kernel, configured for one model."""

    def has_pre_analysis(self) -> bool:
        """Tell whether the model changes the exposure before the lookup."""

    def pre_analysis(self, *, exposure: Exposure, settings: Path | None, user_data: Path | None, into: Path) -> None:
        """Run the model's pre-analysis hook; ``into`` then holds the OED files, raw and changed."""

    def keys_of_slice(  # noqa: PLR0913 - the kernel's own needs
        self,
        *,
        exposure: Exposure,
        settings: Path | None,
        user_data: Path | None,
        index: int,
        count: int,
        into: Path,
    ) -> KeysWritten:
        """Look up the ``index``-th of ``count`` contiguous slices of the locations.

        Location ids are those of the whole portfolio, whatever the slice.
        """

    def write_inputs(  # noqa: PLR0913 - the kernel's own needs
        self,
        *,
        exposure: Exposure,
        settings: Path | None,
        user_data: Path | None,
        keys: tuple[Path, Path] | None,
        into: Path,
    ) -> frozenset[int]:
        """Write the kernel's input files and return the ids of all locations.

        ``keys`` are (keys, keys errors) found before; with None the lookup runs here, and the model's hooks too.
        """

    def prepare_run(self, *, inputs: Path, settings: Path, user_data: Path | None, run: Path) -> None:
        """Make the run directory from the input files, model data linked in; the settings in full are written there."""

    def losses_of_chunk(self, *, run: Path, chunk: LossChunk) -> None:
        """Compute the losses of one part of the events in a prepared run directory."""

    def losses_output(self, *, run: Path, processes: int, user_data: Path | None) -> None:
        """Turn the work files of all parts into the result files below ``run``/output."""

    def whole_losses(self, *, inputs: Path, settings: Path, user_data: Path | None, run: Path, processes: int) -> None:
        """Do all of it: run directory, losses and result files."""
