"""What users ask of a portfolio's exposure: to be validated, run through its own terms, or made from another format.

Each is a run of its kind that the internal worker does. Of validation and exposure run the latest request counts: it
takes the place of one under way, whose files or parameters may be out of date. A transform is waited for, for each
makes something that is wanted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from typing import Any, Final, NoReturn

from django.contrib.auth.models import User
from django.db import transaction

from qanat.contract import labels
from qanat.contract.statuses import Phase, RunKind
from qanat.domain.exposure_status import Event
from qanat.domain.run_plan import PHASES
from qanat.server.accounts.access import groups_of_file
from qanat.server.files.models import StoredFile
from qanat.server.files.operations import TYPE_OF_SUFFIX, Upload, UploadRefused, delete_file, store_upload
from qanat.server.files.owned import replace_file
from qanat.server.portfolios import status
from qanat.server.portfolios.models import OED_FILES, Portfolio
from qanat.server.runs import cancellation
from qanat.server.runs import models as runs
from qanat.server.runs.projection import FileRef
from qanat.server.runs.submission import RunActive, submit_internal

FILE_TYPES: Final = {
    "location": "location_file",
    "accounts": "accounts_file",
    "ri_info": "reinsurance_info_file",
    "ri_scope": "reinsurance_scope_file",
}
"""What clients call the files that a transform makes."""


class ExposureLacking(Exception):
    """The portfolio lacks files for what was asked."""


class TransformUnderWay(Exception):
    """Exposure of the portfolio is being transformed already."""


class _Typed:
    """An upload of the type that its suffix stands for: clients send the files of a transform as any bytes."""

    def __init__(self, upload: Upload) -> None:
        self.name = upload.name
        self.content_type = TYPE_OF_SUFFIX.get(PurePath(upload.name or "").suffix.lower(), upload.content_type)
        self.chunks = upload.chunks


@dataclass(frozen=True, kw_only=True)
class _Wish:
    """A run that somebody asks for."""

    kind: RunKind
    inputs: Mapping[str, StoredFile]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    actor: User | None
    now: datetime


def request_validation(*, portfolio: Portfolio, actor: User | None, now: datetime) -> None:
    """Queue the validation of all OED files of a portfolio, in place of one under way.

    Raises:
        ExposureLacking: it has none.
    """
    files = {name: file for name in OED_FILES if (file := getattr(portfolio, name)) is not None}
    if not files:
        _lacking(portfolio, Phase.VALIDATION, "The portfolio has no OED file to validate: upload one first.", now=now)
    _supersede(portfolio, _Wish(kind=RunKind.VALIDATION, inputs=files, actor=actor, now=now))


def request_exposure_run(*, portfolio: Portfolio, parameters: Mapping[str, Any], actor: User, now: datetime) -> None:
    """Queue losses of a portfolio from given loss factors and its own terms, in place of such a run under way.

    Raises:
        ExposureLacking: it has no location file or no accounts file.
    """
    files = {name: file for name in OED_FILES if (file := getattr(portfolio, name)) is not None}
    missing = [name for name in ("location_file", "accounts_file") if name not in files]
    if missing:
        names = " and ".join(f"'{name}'" for name in missing)
        _lacking(
            portfolio, Phase.EXPOSURE, f"An exposure run needs locations and accounts: upload {names} first.", now=now
        )
    given: dict[str, Any] = {"exposure_run": dict(parameters)}
    if portfolio.reporting_currency and portfolio.currency_conversion_json is not None:
        files[labels.CURRENCY] = portfolio.currency_conversion_json
        given["reporting_currency"] = portfolio.reporting_currency
    _supersede(portfolio, _Wish(kind=RunKind.EXPOSURE, inputs=files, parameters=given, actor=actor, now=now))


def request_transform(  # noqa: PLR0913 - a request of its own
    *, portfolio: Portfolio, file_type: str, mapping: Upload, source: Upload, actor: User, now: datetime
) -> None:
    """Queue the making of an OED file from another format; the portfolio is validated afterwards.

    Raises:
        TransformUnderWay: one of this portfolio has not ended.
        UploadRefused: a file is larger than the installation accepts.
    """
    groups = groups_of_file(owner=portfolio, actor=actor)
    stored: list[StoredFile] = []
    try:
        for name, upload in (("mapping_file", mapping), ("transform_file", source)):
            try:
                stored.append(store_upload(upload=_Typed(upload), creator=actor, groups=groups, allowed_types=()))
            except UploadRefused as refused:
                message = f"{name}: {refused}"
                raise UploadRefused(message) from refused
        with transaction.atomic():
            held = Portfolio.objects.select_for_update().get(pk=portfolio.pk)
            wish = _Wish(
                kind=RunKind.TRANSFORM,
                inputs={labels.TRANSFORM_MAPPING: stored[0], labels.TRANSFORM_SOURCE: stored[1]},
                parameters={"field": FILE_TYPES[file_type]},
                actor=actor,
                now=now,
            )
            _submit(held, wish)
            replace_file(held, "transform_mapping", stored[0])
            replace_file(held, "transform_source", stored[1])
            cancellation.cancel(owner=runs.portfolio(held.pk), kind=RunKind.VALIDATION, now=now)
            status.apply(held, Phase.TRANSFORM, Event.REQUESTED)
            status.apply(held, Phase.VALIDATION, Event.REQUESTED)
    except BaseException as error:
        for file in stored:
            delete_file(file)
        if isinstance(error, RunActive):
            message = (
                "Exposure of this portfolio is being transformed already: wait until exposure_transform_status is no "
                "longer STARTED, then ask again."
            )
            raise TransformUnderWay(message) from error
        raise


def _lacking(portfolio: Portfolio, phase: Phase, message: str, *, now: datetime) -> NoReturn:
    with transaction.atomic():
        held = Portfolio.objects.select_for_update().get(pk=portfolio.pk)
        cancellation.cancel(owner=runs.portfolio(held.pk), kind=RunKind(phase), now=now)
        status.apply(held, phase, Event.LACKING)
    raise ExposureLacking(message)


def _supersede(portfolio: Portfolio, wish: _Wish) -> None:
    with transaction.atomic():
        held = Portfolio.objects.select_for_update().get(pk=portfolio.pk)
        cancellation.cancel(owner=runs.portfolio(held.pk), kind=wish.kind, now=wish.now)
        _submit(held, wish)
        status.apply(held, PHASES[wish.kind][0], Event.REQUESTED)


def _submit(portfolio: Portfolio, wish: _Wish) -> None:
    submit_internal(
        owner=runs.portfolio(portfolio.pk),
        kind=wish.kind,
        inputs={
            label: FileRef(key=file.key, filename=file.filename, content_type=file.content_type, size=file.size)
            for label, file in wish.inputs.items()
        },
        parameters=wish.parameters,
        initiator_id=None if wish.actor is None else wish.actor.pk,
        now=wish.now,
    )
