"""Combine the losses of analyses into those of a new one (wire contract, section 1.5)."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import QuerySet

from qanat.contract import labels
from qanat.contract.statuses import AnalysisStatus, RunKind
from qanat.domain.analysis_status import Event
from qanat.server.analyses import status
from qanat.server.analyses.models import Analysis
from qanat.server.portfolios.models import Portfolio
from qanat.server.runs import models as runs
from qanat.server.runs.projection import FileRef
from qanat.server.runs.submission import submit_internal

ARCHIVES = (labels.INPUT, labels.OUTPUT)
LONGEST_NAME = 255
SUFFIX = "-dummy-portfolio"


class CombineRefused(Exception):
    """What was asked for cannot be combined; ``errors`` says what, by field."""

    def __init__(self, errors: Mapping[str, Any]) -> None:
        """Keep the body that clients get."""
        super().__init__(str(errors))
        self.errors = errors


def combine(  # noqa: PLR0913 - a request of its own
    *,
    sources: QuerySet[Analysis],
    analysis_ids: object,
    config: object,
    name: object,
    actor: User,
    now: datetime,
) -> Analysis:
    """Create an analysis of the combined losses of others and queue the combining.

    Args:
        sources: the analyses that the actor may see.
        analysis_ids: which of them; checked here, as are the next two.
        config: how to combine (the schema of ods-tools); the worker checks what is in it.
        name: of the new analysis.
        actor: who asks.
        now: the database's time.

    Raises:
        CombineRefused: something is missing or not of its type, an analysis is not there or has not completed.
    """
    wanted = _checked(analysis_ids, config, name)
    found = _found(sources, wanted)
    with transaction.atomic():
        portfolio = Portfolio.objects.create(name=f"{name}{SUFFIX}", creator=actor)
        # What is made of several portfolios is seen by no group that could see none of them.
        portfolio.groups.set(Group.objects.filter(pk__in=_groups(found)))
        analysis = Analysis.objects.create(name=str(name), portfolio=portfolio, model=None, creator=actor)
        status.apply(analysis, Event.COMBINING_REQUESTED, now=now)
        submit_internal(
            owner=runs.analysis(analysis.pk),
            kind=RunKind.COMBINE,
            inputs={
                f"{labels.COMBINED_PREFIX}{number}/{field}": _ref(getattr(source, field))
                for number, source in enumerate(found)
                for field in ARCHIVES
            },
            parameters={"combine": config},
            initiator_id=actor.pk,
            now=now,
        )
    return analysis


def _checked(analysis_ids: object, config: object, name: object) -> list[int]:
    errors: dict[str, Any] = {}
    if not isinstance(analysis_ids, list) or not analysis_ids:
        errors["analysis_ids"] = "A list of the ids of analyses is required."
    elif not all(type(pk) is int for pk in analysis_ids):
        errors["analysis_ids"] = "The ids of analyses are whole numbers."
    elif len(set(analysis_ids)) < len(analysis_ids):
        errors["analysis_ids"] = "An analysis can be combined once only."
    if not isinstance(config, dict):
        errors["config"] = "A JSON object is required that says how to combine."
    elif not _can_be_kept(config):
        errors["config"] = "It has a number that is none, or a text with a NUL: no configuration has either."
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        errors["name"] = ["The new analysis needs a name."]
    elif len(name) > LONGEST_NAME - len(SUFFIX):
        errors["name"] = [f"Ensure this field has no more than {LONGEST_NAME - len(SUFFIX)} characters."]
    if errors:
        raise CombineRefused(errors)
    return list(analysis_ids)  # type: ignore[call-overload, no-any-return] # a list of numbers, as was just seen


def _can_be_kept(config: object) -> bool:
    """Say whether every database takes a document as JSON."""
    try:
        return b"\\u0000" not in json.dumps(config, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:  # UnicodeEncodeError too: half of a surrogate pair
        return False


def _found(sources: QuerySet[Analysis], wanted: list[int]) -> list[Analysis]:
    known = [pk for pk in wanted if 0 < pk < 2**63]
    rows = {row.pk: row for row in sources.filter(pk__in=known).select_related(*ARCHIVES)}
    if missing := [pk for pk in wanted if pk not in rows]:
        raise CombineRefused({"analysis_ids": f"There is no analysis {', '.join(map(str, missing))}."})
    found = [rows[pk] for pk in wanted]
    errors: dict[str, list[str]] = {}
    if unfinished := [row for row in found if row.status != AnalysisStatus.RUN_COMPLETED]:
        names = ", ".join(f"{row.pk} is {row.status}" for row in unfinished)
        errors["status"] = [f"All analyses must be RUN_COMPLETED, but analysis {names}."]
    for field in ARCHIVES:
        if without := [str(row.pk) for row in found if getattr(row, field) is None]:
            errors[field] = [f"Must not be null, but analysis {', '.join(without)} has none: run it again."]
    if errors:
        raise CombineRefused(errors)
    return found


def _groups(found: list[Analysis]) -> set[int]:
    portfolios = Portfolio.objects.filter(pk__in=[row.portfolio_id for row in found], groups__isnull=False)
    return set(portfolios.values_list("groups", flat=True))


def _ref(file: Any) -> FileRef:  # noqa: ANN401 - a stored file
    return FileRef(key=file.key, filename=file.filename, content_type=file.content_type, size=file.size)
