"""What the engine does becomes what clients see: statuses, reports and files of the portfolio."""

from collections.abc import Mapping
from datetime import datetime

from django.contrib.auth.models import User

from qanat.contract import labels
from qanat.contract.statuses import Phase
from qanat.domain.exposure_status import Event
from qanat.server.files.operations import adopt
from qanat.server.files.owned import replace_file
from qanat.server.portfolios import requests, status
from qanat.server.portfolios.models import OED_FILES, Portfolio
from qanat.server.runs.models import Run
from qanat.server.runs.projection import FileRef

CSV = "text/csv"


class PortfolioProjection:
    """Told by the engine, inside its transaction (``runs.projection.RunProjection``)."""

    def planned(self, *, run: Run, lookup_chunks: int | None, loss_chunks: int | None, now: datetime) -> None:
        """Show nothing: clients see it started since they asked."""

    def picked_up(self, *, run: Run, phase: Phase, now: datetime) -> None:
        """Show nothing, likewise."""

    def made(self, *, run: Run, phase: Phase, outputs: Mapping[str, FileRef], now: datetime) -> None:
        """Show the results; what was wrong before is no longer."""
        portfolio = _held(run)
        errors = outputs.get(labels.ERRORS)
        _show_errors(portfolio, phase, errors)
        status.apply(portfolio, phase, Event.MADE if errors is None else Event.FAILED)
        if phase is Phase.VALIDATION:
            report = outputs.get(labels.VALIDATION_REPORT)
            _attach(portfolio, "validation_report", report, "validation.json", "application/json")
            _show_validated(portfolio, run, valid=errors is None)
        elif phase is Phase.EXPOSURE:
            _attach(portfolio, "exposure_run_file", outputs.get(labels.EXPOSURE_RUN), "exposure_run.csv", CSV)
        elif phase is Phase.TRANSFORM:
            field = run.parameters["field"]
            _attach(portfolio, field, outputs[labels.TRANSFORMED], f"{field}.csv", CSV)
            _forget_transform(portfolio)
            actor = User.objects.filter(pk=run.initiator_id or 0).first()
            requests.request_validation(portfolio=portfolio, actor=actor, now=now)

    def failed(self, *, run: Run, phase: Phase, no_keys: bool, outputs: Mapping[str, FileRef], now: datetime) -> None:
        """Show the error; no result of a former run remains beside it."""
        del no_keys, now
        portfolio = _held(run)
        _show_errors(portfolio, phase, outputs.get(labels.ERRORS))
        status.apply(portfolio, phase, Event.FAILED)
        if phase is Phase.VALIDATION:
            replace_file(portfolio, "validation_report", None)
            _show_validated(portfolio, run, valid=False)
        elif phase is Phase.EXPOSURE:
            replace_file(portfolio, "exposure_run_file", None)
        elif phase is Phase.TRANSFORM:
            _forget_transform(portfolio)
            status.apply(portfolio, Phase.VALIDATION, Event.FAILED)

    def cancelled(self, *, run: Run, phase: Phase, now: datetime) -> None:
        """Show nothing: only a newer request cancels these, and it shows itself."""

    def progressed(self, *, run: Run, events_done: int, events_total: int, now: datetime) -> None:
        """Show nothing: there are no events."""


def _held(run: Run) -> Portfolio:
    return Portfolio.objects.select_for_update().get(pk=run.owner.id)


def _attach(portfolio: Portfolio, field: str, ref: FileRef | None, name: str, content_type: str) -> None:
    if ref is None:
        replace_file(portfolio, field, None)
        return
    file = adopt(
        key=ref.key,
        filename=f"portfolio_{portfolio.pk}_{name}",
        content_type=content_type,
        size=ref.size,
        creator=portfolio.creator,
        groups=list(portfolio.groups.all()),
    )
    replace_file(portfolio, field, file)


def _show_errors(portfolio: Portfolio, phase: Phase, errors: FileRef | None) -> None:
    """Attach what went wrong, as clients know it: text that is called CSV."""
    _attach(portfolio, status.SHOWN[phase].errors, errors, "errors.txt", CSV)


def _show_validated(portfolio: Portfolio, run: Run, *, valid: bool) -> None:
    """Note which files were found valid: those that the run has read, whatever has been uploaded meanwhile."""
    read = {ref["key"] for label, ref in run.inputs.items() if label in OED_FILES}
    attached = {file.key for field in OED_FILES if (file := getattr(portfolio, field)) is not None}
    known = (set(portfolio.validated) - read) | (read if valid else set())
    portfolio.validated = sorted(known & attached)
    portfolio.save(update_fields=["validated"])


def _forget_transform(portfolio: Portfolio) -> None:
    for field in ("transform_source", "transform_mapping"):
        replace_file(portfolio, field, None)
