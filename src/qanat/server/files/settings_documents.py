"""Analysis and model settings, checked against the schemas that ods-tools ships (wire contract, section 1.3).

The schemas are read from ods-tools' data directly: importing its settings module would load pandas into the API server.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Any, Final

PERSPECTIVES: Final = ("gul", "il", "ri", "rl")
ALIASES: Final = (("module_supplier_id", "model_supplier_id"), ("model_version_id", "model_name_id"))
"""Former names of fields; a document gets both, so that old and new readers find theirs."""

Json = dict[str, Any]


class SettingsRefused(Exception):
    """The document breaks its schema; ``errors`` has the messages by path."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        """Keep the messages as clients see them."""
        super().__init__("; ".join(f"{path}: {' '.join(messages)}" for path, messages in errors.items()))
        self.errors = errors


def analysis_settings(document: object) -> Json:
    """Return the settings of an analysis, former field names filled in.

    Raises:
        SettingsRefused: with a path and a reason for each error.
    """
    settings = _with_aliases(_object(document))
    errors = _schema_errors("analysis_settings_schema", settings)
    for path, message in _summary_errors(settings):
        errors[path].append(message)
    if errors:
        raise SettingsRefused(dict(errors))
    return settings


def model_settings(document: object) -> Json:
    """Return the settings of a model.

    Raises:
        SettingsRefused: with a path and a reason for each error.
    """
    settings = _object(document)
    if errors := _schema_errors("model_settings_schema", settings):
        raise SettingsRefused(dict(errors))
    return settings


def _object(document: object) -> Json:
    if not isinstance(document, dict):
        raise SettingsRefused({"error": ["The settings must be a JSON object."]})
    return dict(document)


def _with_aliases(document: Json) -> Json:
    for former, present in ALIASES:
        if former in document:
            document.setdefault(present, document[former])
        elif present in document:
            document[former] = document[present]
    return document


@cache
def _validator(schema_name: str) -> Any:  # noqa: ANN401 - jsonschema has no types
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - a tenth of a second that only uploads of settings need

    schema = resources.files("ods_tools").joinpath("data", f"{schema_name}.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(schema))


def _schema_errors(schema_name: str, document: Json) -> defaultdict[str, list[str]]:
    errors: defaultdict[str, list[str]] = defaultdict(list)
    for error in _validator(schema_name).iter_errors(document):
        path = "-".join(map(str, error.path or error.schema_path)) or "error"
        errors[f"{schema_name} {path}"].append(error.message)
    return errors


def _summary_errors(document: Json) -> Iterable[tuple[str, str]]:
    wanted = [perspective for perspective in PERSPECTIVES if document.get(f"{perspective}_output")]
    if not wanted:
        yield "no output", "no output selected, please enable at least one output"
    for perspective in wanted:
        if not document.get(f"{perspective}_summaries"):
            yield (
                f"{perspective}_summaries missing",
                f"'{perspective}_output' is set, but there are no summaries for it",
            )
    for perspective in PERSPECTIVES:
        summaries = document.get(f"{perspective}_summaries")
        ids = [s.get("id") for s in summaries if isinstance(s, dict)] if isinstance(summaries, list) else []
        for repeated in sorted({i for i in ids if ids.count(i) > 1}, key=str):
            yield f"{perspective}_summaries", f"id {repeated} is duplicated"
