"""What users ask of an analysis: inputs, losses, both, or an end to it.

Load, decide, apply: rows and settings are read first; every reason to refuse is collected, as clients expect; then one
short transaction changes the status and submits the run.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from qanat.contract import labels
from qanat.contract.statuses import AnalysisStatus, Phase, RunKind, RunMode
from qanat.domain import analysis_status, chunking
from qanat.domain.analysis_status import Event, TransitionRefused
from qanat.domain.chunking import ChunkingOptions, EventCountUnknown, Strategy
from qanat.server.accounts.access import may_write
from qanat.server.analyses import status
from qanat.server.analyses.models import INPUT_FIELDS, Analysis
from qanat.server.files.models import StoredFile
from qanat.server.files.owned import replace_file
from qanat.server.files.storage import storage
from qanat.server.portfolios.models import OED_FILES, Portfolio
from qanat.server.portfolios.queries import Unreadable, count_rows
from qanat.server.risk_models.models import RiskModel
from qanat.server.runs import cancellation
from qanat.server.runs import models as runs
from qanat.server.runs.submission import FileRef, RunActive, submit


class NotPossible(Exception):
    """The analysis is not in a state, or lacks something, for what was asked; ``errors`` says what, by field."""

    def __init__(self, errors: Mapping[str, Any] | list[str]) -> None:
        """Keep the body that clients get."""
        super().__init__(json.dumps(errors))
        self.errors = errors


class NoLocations(Exception):
    """The portfolio has no location file that could be cut into chunks; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """Who asks what of which analysis, through which version of the API."""

    analysis: Analysis
    actor: User
    kind: RunKind
    now: datetime
    v1: bool = False
    """The V1 API knows one run mode only, whatever the model's."""
    any_model: bool = False
    """Creating an analysis from a portfolio in V1 runs models of any mode as V1."""
    run_mode_override: RunMode | None = None


def request(asked: Request) -> Analysis:
    """Queue inputs, losses or both of an analysis.

    Raises:
        NotPossible: with every reason.
        WriteRefused: the model belongs to groups of which the actor is no member.
    """
    analysis = asked.analysis
    model = analysis.model
    if model is None:
        raise NotPossible({"model": "Model not assigned to analysis"})
    may_write(actor=asked.actor, groups=list(model.groups.all()), version="v1" if asked.v1 else "")
    mode = _run_mode(asked, model)
    event = Event.LOSSES_REQUESTED if asked.kind is RunKind.LOSSES else Event.INPUTS_REQUESTED
    _require_status(analysis, event)
    errors, rows = _missing(asked, model, mode)
    if errors:
        raise NotPossible(errors)
    options = _chunking(analysis, model)
    events = _events(asked, model, options) if mode is RunMode.V2 and asked.kind is not RunKind.INPUTS else None

    with transaction.atomic():
        analysis = Analysis.objects.select_for_update().get(pk=analysis.pk)
        _require_status(analysis, event)
        inputs, parameters = _inputs(analysis, asked.kind)
        analysis.run_mode = mode
        analysis.save(update_fields=["run_mode"])
        status.apply(analysis, event, now=asked.now)
        if asked.kind is not RunKind.LOSSES:
            for field in INPUT_FIELDS:
                replace_file(analysis, field, None)
        try:
            submit(
                owner=runs.analysis(analysis.pk),
                kind=asked.kind,
                mode=mode,
                queue=model.queue(mode),
                inputs=inputs,
                parameters=parameters,
                chunking=options,
                rows=rows,
                events=events,
                priority=analysis.priority,
                initiator_id=asked.actor.pk,
                reuse_key=_reuse_key(model),
                now=asked.now,
            )
        except RunActive as active:
            raise NotPossible({"status": [str(active)]}) from active
    return analysis


def cancel(*, analysis: Analysis, event: Event | None, now: datetime) -> Analysis:
    """Cancel what the analysis is doing; ``event`` restricts it to inputs or losses.

    Raises:
        NotPossible: it is doing nothing, or not that.
    """
    with transaction.atomic():
        analysis = Analysis.objects.select_for_update().get(pk=analysis.pk)
        current = AnalysisStatus(analysis.status)
        phase = analysis_status.CANCELLABLE.get(current)
        if phase is None and event is not Event.INPUTS_CANCELLED and _goes_on_by_itself(analysis):
            phase = Phase.LOSSES
        if phase is None:
            raise NotPossible({"status": ["Analysis is not running or queued"]})
        if event not in {None, analysis_status.CANCELLED[phase]}:
            allowed = ", ".join(s for s, p in analysis_status.CANCELLABLE.items() if p is not phase)
            raise NotPossible({"status": [f"The analysis is {current}; this is possible in: {allowed}"]})
        if cancellation.cancel(owner=runs.analysis(analysis.pk), now=now) is None:
            status.apply(analysis, analysis_status.CANCELLED[phase], now=now)
    analysis.refresh_from_db()
    return analysis


def _goes_on_by_itself(analysis: Analysis) -> bool:
    """Generate-and-run passes through READY on its way to the losses."""
    return analysis.status == AnalysisStatus.READY and cancellation.is_active(owner=runs.analysis(analysis.pk))


def _run_mode(asked: Request, model: RiskModel) -> RunMode:
    if asked.v1:
        if model.run_mode != RunMode.V1 and not asked.any_model:
            raise NotPossible(
                {"model": [f"The model's run mode is {model.run_mode}; the V1 API runs models of run mode V1 only"]}
            )
        return RunMode.V1
    if asked.kind is RunKind.BOTH and model.run_mode != RunMode.V2:
        raise NotPossible({"model": [f"The model's run mode is {model.run_mode}; this needs a model of run mode V2"]})
    mode = asked.run_mode_override or (RunMode(model.run_mode) if model.run_mode else None)
    if mode is None:
        raise NotPossible({"model": ["The model has no run mode: set it, or give run_mode_override=V1 or V2"]})
    if mode is RunMode.V1 and model.scaling.get("scaling_strategy") == "DYNAMIC_TASKS":
        raise NotPossible(["Model has invalid scaling setting"])
    return mode


def _require_status(analysis: Analysis, event: Event) -> None:
    try:
        analysis_status.after(AnalysisStatus(analysis.status), event)
    except TransitionRefused:
        allowed = ", ".join(analysis_status.allowed_from(event))
        raise NotPossible({"status": [f"Analysis must be in one of the following states [{allowed}]"]}) from None


def _missing(asked: Request, model: RiskModel, mode: RunMode) -> tuple[dict[str, list[str]], int]:
    """Return what the request lacks, by field, and the number of locations."""
    analysis, portfolio = asked.analysis, asked.analysis.portfolio
    errors: dict[str, list[str]] = {}
    if model.deleted:
        errors["model"] = ["Model pointed to has been deleted"]
    if asked.kind is not RunKind.INPUTS and analysis.settings_file is None:
        key = "settings_file" if asked.kind is RunKind.BOTH else "analysis_settings_file"
        errors[key] = ["Must not be null: post the analysis' settings first"]
    if asked.kind is RunKind.LOSSES:
        if analysis.input_file is None:
            errors["input_file"] = ["Must not be null: generate the inputs first"]
        return errors, 0
    if mode is RunMode.V1:
        if portfolio.location_file is None and portfolio.accounts_file is None:
            errors["portfolio"] = ["Either the location file or the accounts file of the portfolio must not be null"]
        return errors, 0
    try:
        return errors, _locations(portfolio)
    except NoLocations as none:
        return {**errors, "portfolio": [str(none)]}, 0


def _locations(portfolio: Portfolio) -> int:
    """Return the number of locations, by which the lookup is cut into chunks."""
    if portfolio.location_file is None:
        message = "The location file of the portfolio must not be null"
        raise NoLocations(message)
    try:
        rows = count_rows(portfolio.location_file)
    except Unreadable as unreadable:
        message = f"The location file of the portfolio is unreadable: {unreadable}"
        raise NoLocations(message) from unreadable
    if not rows:
        message = "The location file of the portfolio has no rows"
        raise NoLocations(message)
    return rows


def _chunking(analysis: Analysis, model: RiskModel) -> ChunkingOptions:
    stored = {**model.chunking, **(analysis.chunking or {})}
    return ChunkingOptions(
        **{
            **stored,
            "lookup_strategy": Strategy(stored["lookup_strategy"]),
            "loss_strategy": Strategy(stored["loss_strategy"]),
        }
    )


def _events(asked: Request, model: RiskModel, options: ChunkingOptions) -> int | None:
    """Return the number of events where the loss chunks depend on it."""
    if options.loss_strategy is Strategy.FIXED:
        return None
    try:
        return chunking.event_count(
            analysis_settings=_document(asked.analysis.settings_file, field="analysis_settings_file") or {},
            model_settings=_document(model.settings_file, field="model_settings_file"),
        )
    except EventCountUnknown as unknown:
        raise NotPossible({unknown.field: [str(unknown)]}) from unknown


def _document(file: StoredFile | None, *, field: str) -> dict[str, Any] | None:
    """Return settings as they were stored; an upload of a whole file may hold anything.

    Raises:
        NotPossible: they are no JSON object.
    """
    if file is None:
        return None
    try:
        with storage().open(file.key) as stream:
            document = json.load(stream)
    except (ValueError, RecursionError) as error:
        message = f"'{file.filename}' is not JSON ({error}): post the settings again"
        raise NotPossible({field: [message]}) from error
    if not isinstance(document, dict):
        raise NotPossible({field: [f"'{file.filename}' is not a JSON object: post the settings again"]})
    return document


def _inputs(analysis: Analysis, kind: RunKind) -> tuple[dict[str, FileRef], dict[str, Any]]:
    """Return the files and parameters that a run of this kind reads, as they are now."""
    portfolio = analysis.portfolio
    parameters: dict[str, Any] = {}
    files: dict[str, StoredFile | None] = {labels.SETTINGS: analysis.settings_file}
    if kind is RunKind.LOSSES:
        files[labels.INPUT] = analysis.input_file
    else:
        files |= {field: getattr(portfolio, field) for field in OED_FILES}
        if portfolio.reporting_currency and portfolio.currency_conversion_json is not None:
            files[labels.CURRENCY] = portfolio.currency_conversion_json
            parameters["reporting_currency"] = portfolio.reporting_currency
    for data_file in analysis.complex_model_data_files.select_related("file").order_by("pk"):
        if data_file.file is not None:
            files[labels.COMPLEX_DATA_PREFIX + data_file.file.filename] = data_file.file
    return {label: _ref(file) for label, file in files.items() if file is not None}, parameters


def _ref(file: StoredFile) -> FileRef:
    return FileRef(key=file.key, filename=file.filename, content_type=file.content_type, size=file.size)


def _reuse_key(model: RiskModel) -> str:
    identity = [str(model), model.versions(), model.oasislmf_config, model.settings_file and model.settings_file.sha256]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
