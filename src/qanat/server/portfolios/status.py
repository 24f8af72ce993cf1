"""The one place that assigns the statuses of tasks on a portfolio's exposure, by an event, from the domain's table."""

from dataclasses import dataclass
from typing import Final

from qanat.contract.statuses import ExposureStatus, Phase
from qanat.domain.exposure_status import Event, after
from qanat.server.portfolios.models import Portfolio


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The fields that show a task: its status, and the file that says what went wrong."""

    status: str
    errors: str


SHOWN: Final = {
    Phase.VALIDATION: Shown(status="validation_status", errors="validation_errors_file"),
    Phase.EXPOSURE: Shown(status="exposure_status", errors="exposure_errors_file"),
    Phase.TRANSFORM: Shown(status="exposure_transform_status", errors="transform_errors_file"),
}


def apply(portfolio: Portfolio, phase: Phase, event: Event) -> None:
    """Change the status of a task of a portfolio whose row the caller holds, and save it.

    Raises:
        TransitionRefused: the table has no such transition; nothing is changed.
    """
    field = SHOWN[phase].status
    setattr(portfolio, field, after(ExposureStatus(getattr(portfolio, field)), event))
    portfolio.save(update_fields=[field, "modified"])
