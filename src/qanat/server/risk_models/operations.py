"""Writes of models: created by users, registered by their workers, hidden rather than deleted."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from django.conf import settings as settings_of_server
from django.contrib.auth.models import User
from django.db import transaction

from qanat.contract.statuses import RunMode
from qanat.server.accounts.access import groups_of_file
from qanat.server.accounts.operations import first_superuser
from qanat.server.files.models import StoredFile
from qanat.server.files.operations import delete_file, store_content
from qanat.server.files.owned import replace_file
from qanat.server.files.settings_documents import SettingsRefused, analysis_settings, model_settings
from qanat.server.risk_models.models import RiskModel, SettingTemplate
from qanat.server.runs.stock import served

logger = logging.getLogger(__name__)

VERSION_COLUMNS = {
    "ktools": "ver_ktools",
    "oasislmf": "ver_oasislmf",
    "platform": "ver_platform",
    "ods-tools": "ver_ods",
    "oed-schema": "ver_oed",
}


def store_settings(*, model: RiskModel, document: Any, actor: User | None) -> StoredFile:  # noqa: ANN401 - JSON
    """Check and store a model's settings; ``model_run_mode`` in them sets the model's run mode.

    Raises:
        SettingsRefused: the document breaks its schema.
    """
    checked = model_settings(document)
    with transaction.atomic():
        file = _store(model, checked, actor)
        mode = checked.get("model_run_mode")
        if mode in {member.value for member in RunMode}:
            RiskModel.objects.filter(pk=model.pk).update(run_mode=mode)
    return file


def register(  # noqa: PLR0913 - the worker's message
    *,
    supplier_id: str,
    model_id: str,
    version_id: str,
    run_mode: RunMode,
    settings: Mapping[str, Any] | None,
    versions: Mapping[str, str],
    config: Mapping[str, Any] | None,
    stock: bool,
) -> RiskModel | None:
    """Note that a worker for the model has started: make or revive the model, take its settings and versions.

    The run mode is set only where the model has none; settings that break their schema are left out and logged. Where
    operators approve new models, a new or hidden one stays hidden until they do; and a worker of another kind than the
    model's is not taken note of.

    Args:
        supplier_id: with ``model_id`` and ``version_id`` the model's identity.
        model_id: see there.
        version_id: see there.
        run_mode: of the worker.
        settings: the model's, where the worker has them.
        versions: of the worker's software, by the names of the contract.
        config: the kernel's, where the worker has it.
        stock: the worker is one of the Oasis Platform, which gets that platform's messages.
    """
    approving = settings_of_server.QANAT.approve_new_models
    with transaction.atomic():
        model, created = RiskModel.objects.select_for_update().get_or_create(
            supplier_id=supplier_id,
            model_id=model_id,
            version_id=version_id,
            defaults={"creator": first_superuser(), "run_mode": run_mode},
        )
        served_queues = [model.queue(run_mode)] if stock else [model.queue(mode) for mode in RunMode]
        if approving and (created or model.deleted):
            model.deleted = model.awaits_approval = True
            logger.warning("A worker registers %s, which awaits approval on the admin site.", model)
        elif approving and any(model.versions().values()) and stock != served.is_stock(model.queue(run_mode)):
            logger.warning("A worker of another kind registers %s and is refused: hide the model first.", model)
            return None
        model.deleted = model.awaits_approval
        served.serve(served_queues, stock=stock)
        model.run_mode = model.run_mode or run_mode
        model.oasislmf_config = dict(config or {})
        for name, column in VERSION_COLUMNS.items():
            setattr(model, column, versions.get(name) or getattr(model, column))
        model.save()
        if settings is not None:
            try:
                _store(model, model_settings(settings), model.creator)
            except SettingsRefused as refusal:
                logger.warning("The settings of %s break their schema and are left out: %s", model, refusal.errors)
    logger.info("%s %s (%s)", "New model" if created else "Model came back:", model, dict(versions))
    return model


def hide(*, model: RiskModel) -> None:
    """Delete a model as users see it: analyses keep pointing at it, and it comes back under the same identity."""
    model.deleted = True
    model.save(update_fields=["deleted", "modified"])


def show(*, model: RiskModel) -> None:
    """Bring back a hidden model as it was; one that a worker registered is approved by it."""
    model.deleted = model.awaits_approval = False
    model.save(update_fields=["deleted", "awaits_approval", "modified"])


def delete_model(*, model: RiskModel) -> None:
    """Delete a model for good, with its templates and all their files; its analyses must be gone."""
    with transaction.atomic():
        for template in model.setting_templates.all():
            delete_template(template=template)
        file = model.settings_file
        model.delete()
        delete_file(file)


def store_template(*, template: SettingTemplate, document: Any, actor: User) -> StoredFile:  # noqa: ANN401 - JSON
    """Check and store the analysis settings of a template.

    Raises:
        SettingsRefused: the document breaks its schema.
    """
    file = store_content(
        content=json.dumps(analysis_settings(document)).encode(),
        filename="analysis_settings.json",
        content_type="application/json",
        creator=actor,
        groups=groups_of_file(owner=template.model, actor=actor),
    )
    replace_file(template, "file", file)
    return file


def delete_template(*, template: SettingTemplate) -> None:
    """Delete a template and its file."""
    with transaction.atomic():
        file = template.file
        template.delete()
        delete_file(file)


def _store(model: RiskModel, document: Mapping[str, Any], actor: User | None) -> StoredFile:
    content = json.dumps(document).encode()
    file = store_content(
        content=content,
        filename="model_settings.json",
        content_type="application/json",
        creator=actor,
        groups=list(model.groups.all()),
    )
    replace_file(model, "settings_file", file)
    return file


def revive(*, model: RiskModel, creator: User) -> RiskModel:
    """Bring back a hidden model under a new creator."""
    model.deleted = False
    model.creator = creator
    model.save()
    return model
