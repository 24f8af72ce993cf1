"""Everybody who may call, and the rows that they call about: made once, for all operations."""

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Model
from django.test import Client
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from qanat.contract.statuses import AnalysisStatus, Phase, RunKind, RunMode, RunState, StepState
from qanat.server.analyses.models import FILES, Analysis
from qanat.server.api.workers.tokens import step_token
from qanat.server.data_files.models import DataFile
from qanat.server.files.storage import storage
from qanat.server.portfolios.models import OED_FILES, TASK_FILES, Portfolio
from qanat.server.risk_models.models import RiskModel, SettingTemplate
from qanat.server.runs import clock
from qanat.server.runs.models import Run, Step
from qanat.server.runs.projection import FileRef
from tests.api.authorisation.operations import Operation
from tests.documents import LOCATIONS
from tests.factories import (
    PASSWORD,
    make_analysis,
    make_data_file,
    make_file,
    make_group,
    make_model,
    make_portfolio,
    make_settings_file,
    make_user,
)

USERS: Final = ("same group", "another group", "no group", "staff", "superuser")
OTHERS: Final = ("anonymous", "switched off", "refresh token", "worker key", "step token")
"""Who is no user, or has the wrong proof of being one."""
MEMBER: Final = "location.csv"
"""What lies in the archives."""
WORKER: Final = "worker"


@dataclass(frozen=True, kw_only=True)
class Rows:
    """One row of each table, all of one group or of none, as one version of the API runs them."""

    portfolio: Portfolio
    model: RiskModel
    setting_template: SettingTemplate
    data_file: DataFile
    analysis: Analysis
    step: Step

    def of(self, table: type[Model]) -> Model:
        """Return the row of a table.

        Raises:
            LookupError: there is none.
        """
        for row in vars(self).values():
            if isinstance(row, table):
                return row
        message = f"No row of {table.__name__} is in the cast: make one in tests/api/authorisation/cast.py"
        raise LookupError(message)

    def arguments(self, operation: Operation) -> dict[str, object]:
        """Return what the route's arguments are."""
        known: dict[str, object] = {"step_id": self.step.pk, "label": "location_file", "models_pk": self.model.pk}
        if operation.endpoint is None or not operation.arguments:
            return known
        table = getattr(operation.endpoint, "model", Step)
        argument = getattr(operation.endpoint, "row_argument", "pk")
        return known if argument in known else known | {argument: self.of(table).pk}


@dataclass(frozen=True, kw_only=True)
class Cast:
    """All of them."""

    group: Group
    people: Mapping[str, User]
    rows: Mapping[tuple[str, str], Rows]
    """By whose they are (``of the group``, ``of nobody``) and the version of the API."""

    @classmethod
    def assemble(cls) -> "Cast":
        """Make everybody and everything."""
        group = make_group()
        people = {
            "same group": make_user(group, make_group()),
            "another group": make_user(make_group(), password=PASSWORD),
            "no group": make_user(),
            "staff": make_user(staff=True),
            "superuser": make_user(staff=True, superuser=True),
            "switched off": make_user(group, active=False),
        }
        rows = {
            (whose, version): _rows(*groups, version=version)
            for whose, groups in {"of the group": [group], "of nobody": []}.items()
            for version in ("v1", "v2", "")
        }
        return cls(group=group, people=people, rows=rows)

    def credentials(self, who: str, rows: Rows) -> dict[str, str]:
        """Return the header with which somebody proves who they are."""
        if who == "anonymous":
            return {}
        if who == "worker key":
            return {"Authorization": f"Worker {settings.QANAT.worker_key}"}
        if who == "step token":
            return {"Authorization": f"Step {step_token(step_id=rows.step.pk, fence=rows.step.fence)}"}
        if who == "refresh token":
            return {"Authorization": f"Bearer {RefreshToken.for_user(self.people['same group'])}"}
        return {"Authorization": f"Bearer {AccessToken.for_user(self.people[who])}"}


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is sent besides the method, the path and the credentials."""

    body: bytes | str = b""
    content_type: str = "application/json"
    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    status: AnalysisStatus | None = None
    """In which the analysis is, where it matters."""
    names_rows: bool = False
    """Whether the body names rows of the cast: who does not see them gets 400 for it."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of it."""

    code: int
    content: bytes

    @property
    def verdict(self) -> str:
        """Done, refused, not found, or the code of the answer."""
        if self.code in range(200, 300):
            return "done"
        return {401: "refused", 403: "refused", 404: "not found"}.get(self.code, str(self.code))

    @property
    def document(self) -> Any:  # noqa: ANN401 - JSON
        """The answer's JSON."""
        return json.loads(self.content)


def ask(cast: Cast, operation: Operation, question: Question, *, who: str, rows: Rows) -> Answer:
    """Ask, and undo whatever came of it."""
    headers = {**cast.credentials(who, rows), **(question.headers or {})}
    with transaction.atomic():
        if question.status is not None:
            Analysis.objects.filter(pk=rows.analysis.pk).update(status=question.status)
        response: Any = Client().generic(
            operation.method,
            operation.url(rows.arguments(operation)),
            question.body,
            question.content_type,
            headers=headers,
            query_params=dict(question.query or {}),
        )
        content = b"".join(response.streaming_content) if response.streaming else response.content
        response.close()
        transaction.set_rollback(True)
    return Answer(code=response.status_code, content=content)


def _rows(*groups: Group, version: str) -> Rows:
    exposure: dict[str, Any] = {name: make_file(groups=groups) for name in (*OED_FILES, *TASK_FILES)}
    portfolio = make_portfolio(*groups, reporting_currency="USD", currency_conversion_json=_json(), **exposure)
    data_file = make_data_file(*groups, file=make_file())
    model = make_model(*groups, run_mode="V1" if version == "v1" else "V2", settings_file=_json())
    model.data_files.set([data_file])
    template = SettingTemplate.objects.create(model=model, name="T", file=make_settings_file())
    fields = {name: _archive() if name in {"input_file", "output_file"} else make_file() for name in FILES}
    analysis = make_analysis(
        status=AnalysisStatus.READY,
        portfolio=portfolio,
        model=model,
        **{**fields, "settings_file": make_settings_file()},
    )
    analysis.complex_model_data_files.set([data_file])
    busy = make_analysis(status=AnalysisStatus.INPUTS_GENERATION_STARTED, portfolio=portfolio, model=model)
    return Rows(
        portfolio=portfolio,
        model=model,
        setting_template=template,
        data_file=data_file,
        analysis=analysis,
        step=_step(busy),
    )


def _step(analysis: Analysis) -> Step:
    """Return a step that a worker holds, with logs."""
    file = make_file()
    ref = FileRef(key=file.key, filename=file.filename, content_type=file.content_type, size=file.size)
    run = Run.objects.create(
        analysis_id=analysis.pk,
        kind=RunKind.INPUTS,
        mode=RunMode.V2,
        queue="queue",
        state=RunState.ACTIVE,
        plan={"begun": [Phase.INPUTS]},
        inputs={"location_file": ref.as_json()},
        created=clock.now(),
    )
    step = Step.objects.create(
        run=run,
        position=0,
        slug="a-step",
        name="A step",
        task="prepare_keys_file_chunk",
        phase=Phase.INPUTS,
        queue="queue",
        reads=["location_file"],
        state=StepState.RUNNING,
        fence=3,
        attempt=1,
        worker=WORKER,
        celery_id=f"celery-{run.pk}",
        pending_at=clock.now(),
    )
    for log in ("output_log", "error_log", "retry_log"):
        setattr(step, log, f"logs/{run.pk}-{log}")
        storage().write(getattr(step, log), [b"log"])
    step.save()
    return step


def _json() -> Any:  # noqa: ANN401 - a stored file
    return make_file(b"{}", filename="document.json", content_type="application/json")


def _archive() -> Any:  # noqa: ANN401 - a stored file
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        member = tarfile.TarInfo(MEMBER)
        member.size = len(LOCATIONS)
        archive.addfile(member, io.BytesIO(LOCATIONS))
    return make_file(target.getvalue(), filename="archive.tar.gz", content_type="application/gzip")
