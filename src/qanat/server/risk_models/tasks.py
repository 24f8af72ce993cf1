"""Celery entrances: workers register their models (wire contract, section 5.1)."""

import json
from typing import Any

from celery import shared_task

from qanat.contract import tasks
from qanat.contract.statuses import RunMode
from qanat.contract.worker_protocol import OURS
from qanat.server.risk_models import operations

Document = dict[str, Any] | str | None


@shared_task(name=tasks.REGISTER_V1)
def register_v1(
    supplier: str, model: str, version: str, settings: Document = None, versions: dict[str, str] | None = None
) -> None:
    """Register a model whose worker runs whole analyses."""
    _register(supplier, model, version, settings, versions, None, RunMode.V1)


@shared_task(name=tasks.REGISTER_V2)
def register_v2(  # noqa: PLR0913, PLR0917 - positional on the wire
    supplier: str,
    model: str,
    version: str,
    settings: Document = None,
    versions: dict[str, str] | None = None,
    config: Document = None,
) -> None:
    """Register a model whose worker runs sub-tasks."""
    _register(supplier, model, version, settings, versions, config, RunMode.V2)


def _register(  # noqa: PLR0913, PLR0917 - as above
    supplier: str,
    model: str,
    version: str,
    settings: Document,
    versions: dict[str, str] | None,
    config: Document,
    run_mode: RunMode,
) -> None:
    operations.register(
        supplier_id=supplier,
        model_id=model,
        version_id=version,
        run_mode=run_mode,
        settings=_document(settings),
        versions=versions or {},
        config=_document(config),
        stock=OURS not in (versions or {}),
    )


def _document(value: Document) -> dict[str, Any] | None:
    """Return a JSON document that may come as itself or as text."""
    if isinstance(value, str):
        value = json.loads(value) if value else None
    return value if isinstance(value, dict) else None
