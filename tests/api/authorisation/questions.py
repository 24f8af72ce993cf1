"""What each operation is sent so that it does what it is for.

An operation that needs nothing but its path is not here. One that needs more and is not here answers 400 to those who
may, and its test says so: add it.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from rest_framework_simplejwt.tokens import RefreshToken

from qanat.contract.statuses import AnalysisStatus
from tests.api.authorisation.cast import MEMBER, WORKER, Cast, Question, Rows
from tests.api.authorisation.operations import Operation
from tests.factories import ANALYSIS_SETTINGS, LOCATIONS, MODEL_SETTINGS, PASSWORD

Maker = Callable[[Cast, Rows], Question]


def _json(document: Any, *, names_rows: bool = False) -> Question:  # noqa: ANN401 - JSON
    return Question(body=json.dumps(document), names_rows=names_rows)


def _always(document: Any) -> Maker:  # noqa: ANN401 - JSON
    return lambda _cast, _rows: _json(document)


def _upload(content: bytes, *, name: str, content_type: str) -> Maker:
    parts = {"file": SimpleUploadedFile(name, content, content_type)}
    body = encode_multipart(BOUNDARY, parts)
    return lambda _cast, _rows: Question(body=body, content_type=MULTIPART_CONTENT)


def _transform(_cast: Cast, _rows: Rows) -> Question:
    files = {name: SimpleUploadedFile(name, b"1", "text/plain") for name in ("mapping_file", "transform_file")}
    body = encode_multipart(BOUNDARY, {"file_type": "location", **files})
    return Question(body=body, content_type=MULTIPART_CONTENT)


def _combine(_cast: Cast, rows: Rows) -> Question:
    wish = _json({"name": "A", "config": {}, "analysis_ids": [rows.analysis.pk]}, names_rows=True)
    return dataclasses.replace(wish, status=AnalysisStatus.RUN_COMPLETED)


def _in(status: AnalysisStatus) -> Maker:
    return lambda _cast, _rows: Question(status=status)


def _member(_cast: Cast, _rows: Rows) -> Question:
    return Question(query={"filename": MEMBER})


def _analysis(_cast: Cast, rows: Rows) -> Question:
    return _json({"name": "A", "portfolio": rows.portfolio.pk, "model": rows.model.pk}, names_rows=True)


def _create_analysis(_cast: Cast, rows: Rows) -> Question:
    return _json({"name": "A", "model": rows.model.pk}, names_rows=True)


def _storage_links(_cast: Cast, rows: Rows) -> Question:
    return _json({"location_file": rows.portfolio.location_file.key})


def _login(cast: Cast, _rows: Rows) -> Question:
    return _json({"username": cast.people["another group"].username, "password": PASSWORD})


def _refresh(cast: Cast, _rows: Rows) -> Question:
    bearer = f"Bearer {RefreshToken.for_user(cast.people['no group'])}"
    return Question(content_type="application/x-www-form-urlencoded", headers={"Authorization": bearer})


CSV: Final = _upload(LOCATIONS, name="location.csv", content_type="text/csv")
JSON: Final = _upload(b"{}", name="document.json", content_type="application/json")
MODEL: Final = {"supplier_id": "S", "model_id": "M", "version_id": "1"}
FAILURE: Final[dict[str, Any]] = {
    "failure_class": "infrastructure",
    "message": "",
    "traceback": "",
    "exit_code": None,
    "signal": None,
    "outputs": [],
}
HELLO: Final = {"worker": WORKER, "queues": [], "slots": 1, "draining": False, "versions": {}}

OF_A_PROVIDER: Final = frozenset(
    {
        "GET oidc/authorize/",
        "GET oidc/callback/",
        "POST oidc/callback/",
        "POST oidc/session_token/",
        "GET oidc/logout/",
    }
)
"""Where users are ours, as here, nobody gets anything from these; with a provider see ``test_provider``."""

QUESTIONS: Final[Mapping[str, Maker]] = {
    "POST access_token/": _login,
    "POST refresh_token/": _refresh,
    "POST portfolios/": _always({"name": "P"}),
    "PUT portfolios/<int:pk>/": _always({"name": "P"}),
    "POST portfolios/<int:pk>/create_analysis/": _create_analysis,
    "POST portfolios/<int:pk>/reporting_currency/": _always({"reporting_currency": "EUR"}),
    "POST portfolios/<int:pk>/location_file/": CSV,
    "POST portfolios/<int:pk>/accounts_file/": CSV,
    "POST portfolios/<int:pk>/reinsurance_info_file/": CSV,
    "POST portfolios/<int:pk>/reinsurance_scope_file/": CSV,
    "POST portfolios/<int:pk>/currency_conversion_json/": JSON,
    "POST portfolios/<int:pk>/storage_links/": _storage_links,
    "POST portfolios/<int:pk>/exposure_transform/": _transform,
    "POST models/": _always(MODEL),
    "PUT models/<int:pk>/": _always(MODEL),
    "POST models/<int:pk>/settings/": _always(MODEL_SETTINGS),
    "POST models/<int:models_pk>/setting_templates/": _always({"name": "T"}),
    "PUT models/<int:models_pk>/setting_templates/<int:pk>/": _always({"name": "T"}),
    "POST models/<int:models_pk>/setting_templates/<int:pk>/content/": _always(ANALYSIS_SETTINGS),
    "POST data_files/": _always({"file_description": "D"}),
    "PUT data_files/<int:pk>/": _always({"file_description": "D"}),
    "POST data_files/<int:pk>/content/": CSV,
    "POST analyses/": _analysis,
    "PUT analyses/<int:pk>/": _analysis,
    "POST analyses/<int:pk>/settings/": _always(ANALYSIS_SETTINGS),
    "POST analyses/<int:pk>/settings_file/": JSON,
    "POST analyses/<int:pk>/cancel/": _in(AnalysisStatus.RUN_STARTED),
    "POST analyses/<int:pk>/cancel_analysis_run/": _in(AnalysisStatus.RUN_STARTED),
    "POST analyses/<int:pk>/cancel_generate_inputs/": _in(AnalysisStatus.INPUTS_GENERATION_STARTED),
    "GET analyses/<int:pk>/input_file_tar_extract/": _member,
    "GET analyses/<int:pk>/output_file_tar_extract/": _member,
    "POST analyses/combine/": _combine,
    "POST workers/hello/": _always(HELLO),
    "POST workers/steps/<int:step_id>/claim/": lambda _cast, rows: _json({"fence": rows.step.fence, "worker": WORKER}),
    "POST workers/steps/<int:step_id>/commit/": _always({"outputs": [], "result": {}}),
    "POST workers/steps/<int:step_id>/fail/": _always(FAILURE),
}


def question(operation: Operation, cast: Cast, rows: Rows) -> Question:
    """Return what the operation is sent."""
    make = QUESTIONS.get(operation.key)
    if make is not None:
        return make(cast, rows)
    return Question() if operation.reads or operation.method == "DELETE" else _json({})
