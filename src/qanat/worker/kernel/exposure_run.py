"""Losses from loss factors and a portfolio's own terms, through the kernel's public API."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oasislmf.manager import OasisManager

from qanat.contract import labels
from qanat.worker.kernel import numba_cache
from qanat.worker.kernel.oasislmf import EXPOSURE_PARAMETERS, kernel_errors
from qanat.worker.kernel.port import ExposureRefused

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ExposureRunJob:
    """What an exposure run works on."""

    exposure: Mapping[str, Path]
    """OED files by label, unpacked."""
    parameters: Mapping[str, Any]
    """As clients may give them (wire contract, section 1.4), with all defaults."""
    directory: Path
    """Where the kernel works."""
    result: Path
    currency: Path | None = None
    reporting_currency: str | None = None


def run_exposure(job: ExposureRunJob) -> None:
    """Write the losses to the result.

    Raises:
        ExposureRefused: the kernel finds fault with the exposure, or there are no losses.
        KernelError: it failed otherwise.
    """
    numba_cache.settle()
    given: dict[str, Any] = {EXPOSURE_PARAMETERS[label]: str(path) for label, path in job.exposure.items()}
    parameters = dict(job.parameters)
    if not any(parameters.get("supported_oed_coverage_types", ())):
        parameters.pop("supported_oed_coverage_types", None)  # [0] is how clients say that they choose none.
    if job.currency is not None:
        given |= {"currency_conversion_json": str(job.currency), "reporting_currency": job.reporting_currency}
    source = job.directory / "source"
    source.mkdir()
    with kernel_errors(job.exposure):
        OasisManager().run_exposure(
            **given,
            **parameters,
            src_dir=str(source),
            run_dir=str(job.directory / "files"),
            output_file=str(job.result),
            print_summary=False,
        )
    if not job.result.is_file():
        message = f"The exposure run made no losses of {labels.LOCATION} and {labels.ACCOUNTS}."
        raise ExposureRefused(message)
