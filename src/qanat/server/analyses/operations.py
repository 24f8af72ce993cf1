"""Writes of analyses that start no run: created, copied, given settings, deleted."""

import json
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from qanat.contract.statuses import AnalysisStatus
from qanat.server.accounts.access import groups_of_file
from qanat.server.analyses.models import FILES, Analysis
from qanat.server.files.models import StoredFile
from qanat.server.files.operations import Upload, delete_file, duplicate, store_content, store_upload
from qanat.server.files.owned import replace_file
from qanat.server.files.settings_documents import analysis_settings
from qanat.server.portfolios import operations as portfolio_operations
from qanat.server.portfolios.models import Portfolio
from qanat.server.risk_models import operations as model_operations
from qanat.server.risk_models.models import RiskModel
from qanat.server.runs import cancellation
from qanat.server.runs import models as runs

LONGEST_COPIED_NAME = 248


def store_settings(*, analysis: Analysis, document: Any, actor: User) -> StoredFile:  # noqa: ANN401 - JSON
    """Check and store an analysis' settings.

    Raises:
        SettingsRefused: the document breaks its schema.
    """
    content = json.dumps(analysis_settings(document)).encode()
    file = store_content(
        content=content,
        filename="analysis_settings.json",
        content_type="application/json",
        creator=actor,
        groups=groups_of_file(owner=analysis.portfolio, actor=actor),
    )
    replace_file(analysis, "settings_file", file)
    return file


def attach_settings_file(*, analysis: Analysis, upload: Upload, actor: User) -> StoredFile:
    """Store a settings file as it comes, unchecked.

    Raises:
        UploadRefused: it is no JSON by type.
    """
    groups = groups_of_file(owner=analysis.portfolio, actor=actor)
    file = store_upload(upload=upload, creator=actor, groups=groups, allowed_types=("application/json",))
    replace_file(analysis, "settings_file", file)
    return file


def copy(*, analysis: Analysis, changes: dict[str, Any], actor: User) -> Analysis:
    """Return a new analysis with the same portfolio, model, data files and settings, and nothing of its results."""
    with transaction.atomic():
        fresh = Analysis.objects.create(
            name=changes.get("name") or f"{analysis.name[:LONGEST_COPIED_NAME]} - Copy",
            portfolio=changes.get("portfolio") or analysis.portfolio,
            model=changes.get("model") or analysis.model,
            creator=actor,
            status=AnalysisStatus.NEW,
            run_mode=analysis.run_mode,
            priority=analysis.priority,
            lookup_chunks=analysis.lookup_chunks,
            analysis_chunks=analysis.analysis_chunks,
            chunking=analysis.chunking,
        )
        fresh.complex_model_data_files.set(
            changes.get("complex_model_data_files", analysis.complex_model_data_files.all())
        )
        if analysis.settings_file is not None:
            replace_file(fresh, "settings_file", duplicate(file=analysis.settings_file, creator=actor))
    return fresh


def delete_analysis(analysis: Analysis) -> None:
    """Delete an analysis, its runs and all their files; what its workers still do is refused from now on."""
    with transaction.atomic():
        cancellation.forget(owner=runs.analysis(analysis.pk))
        files = [getattr(analysis, field) for field in FILES]
        analysis.delete()
        for file in files:
            delete_file(file)


def delete_model(model: RiskModel) -> None:
    """Delete a model for good, with its analyses, its templates and all their files; users can only hide one."""
    with transaction.atomic():
        for analysis in model.analyses.all():
            delete_analysis(analysis)
        model_operations.delete_model(model=model)


def delete_portfolio(portfolio: Portfolio) -> None:
    """Delete a portfolio with its analyses."""
    with transaction.atomic():
        for analysis in portfolio.analyses.all():
            delete_analysis(analysis)
        portfolio_operations.delete_portfolio(portfolio)
