"""What there is while requests are made up: one row of each kind, complete, so that most ids lead somewhere."""

import io
import tarfile
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User

from qanat.contract.statuses import AnalysisStatus, RunKind, RunMode
from qanat.server.analyses.models import Analysis
from qanat.server.files.models import StoredFile
from qanat.server.files.storage import storage
from qanat.server.risk_models.models import SettingTemplate
from qanat.server.runs import clock
from qanat.server.runs.models import Run, Step
from tests.documents import MODEL_SETTINGS
from tests.factories import (
    make_analysis,
    make_data_file,
    make_file,
    make_model,
    make_portfolio,
    make_settings_file,
    make_user,
)


@dataclass(frozen=True, kw_only=True)
class World:
    """The ids that exist, by the first word of a path after the version."""

    user: User
    ids: dict[str, list[int]]


def make_world(version: str) -> World:
    """Return a world with a superuser who sees all of it."""
    data_file = make_data_file(file=make_file())
    csv: dict[str, Any] = {
        field: make_file() for field in ("accounts_file", "reinsurance_info_file", "reinsurance_scope_file")
    }
    portfolio = make_portfolio(**csv, currency_conversion_json=_json(b"{}"), reporting_currency="GBP")
    model = make_model(run_mode=version.upper(), settings_file=_json(str(MODEL_SETTINGS).replace("'", '"').encode()))
    model.data_files.add(data_file)
    template = SettingTemplate.objects.create(model=model, name="Template", file=make_settings_file())
    ready = make_analysis(
        name="Ready",
        status=AnalysisStatus.READY,
        portfolio=portfolio,
        model=model,
        settings_file=make_settings_file(),
        input_file=_archive(),
    )
    done = make_analysis(
        name="Done",
        status=AnalysisStatus.RUN_COMPLETED,
        portfolio=portfolio,
        model=model,
        settings_file=make_settings_file(),
        input_file=_archive(),
        output_file=_archive(),
        run_log_file=_archive(),
        lookup_errors_file=make_file(),
        lookup_success_file=make_file(),
        lookup_validation_file=_json(b"{}"),
        summary_levels_file=_json(b"{}"),
        input_generation_traceback_file=_text(),
        run_traceback_file=_text(),
    )
    done.complex_model_data_files.add(data_file)
    return World(
        user=make_user(staff=True, superuser=True),
        ids={
            "portfolios": [portfolio.pk],
            "models": [model.pk],
            "setting_templates": [template.pk],
            "data_files": [data_file.pk],
            "analyses": [ready.pk, done.pk],
            "analysis-task-statuses": [_step(done).pk],
        },
    )


def _step(analysis: Analysis) -> Step:
    """Return a sub-task with logs, of a run that is done."""
    now = clock.now()
    run = Run.objects.create(
        analysis_id=analysis.pk, kind=RunKind.INPUTS, mode=RunMode.V2, queue="q", state="succeeded", created=now
    )
    logs = {log: f"fuzz/{run.pk}/{log}" for log in ("output_log", "error_log", "retry_log")}
    for key in logs.values():
        storage().write(key, [b"a line"])
    return Step.objects.create(
        run=run,
        position=1,
        slug="s",
        name="S",
        task="t",
        phase="inputs",
        queue="q",
        celery_id="c",
        pending_at=now,
        **logs,
    )


def _archive() -> StoredFile:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        member = tarfile.TarInfo("location.csv")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"1"))
    return make_file(target.getvalue(), filename="archive.tar.gz", content_type="application/gzip")


def _json(content: bytes) -> StoredFile:
    return make_file(content, filename="document.json", content_type="application/json")


def _text() -> StoredFile:
    return make_file(b"a line", filename="traceback.txt", content_type="text/plain")
