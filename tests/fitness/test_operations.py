"""Our operations and their query parameters are those of the reference platform; each difference has a reason."""

from typing import Final

import pytest

from qanat.server.api.base.documents import described
from qanat.server.api.common.openapi import document
from tests.fitness.reference_operations import TIMES, Key, operations

OUR_LISTS: Final = {
    f"/api/{version}/{resource}/"
    for version in ("v1", "v2")
    for resource in ("analyses", "data_files", "models", "portfolios", "models/{models_pk}/setting_templates")
} | {"/api/v2/analysis-task-statuses/"}
PAGES: Final = frozenset({"limit", "cursor", "q", "ordering"})
"""Ours alone: who asks gets pages, a search and an order (``api/common/lists.py``)."""

OURS_ALONE: Final = {
    *(("GET", f"/api/{version}/portfolios/{{id}}/validation_report/") for version in ("v1", "v2")),
    ("GET", "/api/v2/events/"),
}
"""What a validation found, by file, row and column, where clients of the reference know the text of ``errors_file``
only; and what happens to runs, as a stream for browsers."""

REFUSED: Final[dict[str, list[Key]]] = {
    "sub-tasks are facts of the engine: users neither make nor remove them": [
        ("POST", "/api/v2/analysis-task-statuses/"),
        ("DELETE", "/api/v2/analysis-task-statuses/{id}/"),
    ]
}
"""What is there and does nothing sensible; ours answer 405."""


def ours() -> dict[Key, frozenset[str]]:
    """Return the query parameters of each of our operations."""
    paths = document(described("base", "v1", "v2"))["paths"]
    return {
        (method.upper(), path): frozenset(p["name"] for p in operation.get("parameters", ()) if p["in"] == "query")
        for path, found in paths.items()
        for method, operation in found.items()
    }


def without_effect(key: Key, parameters: frozenset[str]) -> frozenset[str]:
    """Return the parameters that the reference's document lists where they do nothing for the answer.

    It lists the filters of a resource also on lists that hang on one row, and the format of a download also on uploads
    and deletions.
    """
    method, path = key
    if path.endswith(("/{id}/data_files/", "/{id}/sub_task_list/")):
        return parameters - {"subtask_slug", "subtask_status"}
    if path.endswith("/analysis-task-statuses/"):
        return parameters & {*TIMES, "user"}  # sub-tasks have neither; there they end in an error of the server
    return parameters if method in {"POST", "DELETE"} and parameters == {"file_format"} else frozenset()


def test_all_operations_are_there_but_those_named() -> None:
    missing = operations().keys() - ours().keys()

    assert missing == {key for keys in REFUSED.values() for key in keys}


def test_we_offer_no_other_operation_but_those_named() -> None:
    assert ours().keys() - operations().keys() == OURS_ALONE


def test_every_operation_takes_the_parameters_that_clients_send() -> None:
    offered = ours()
    lacking = {
        key: missing
        for key, known in operations().items()
        if key in offered and (missing := known - without_effect(key, known) - offered[key])
    }

    assert lacking == {}


def test_parameters_of_ours_alone_are_those_of_pages() -> None:
    known = operations()
    additional = {
        key: extra for key, offered in ours().items() if key not in OURS_ALONE and (extra := offered - known[key])
    }

    assert additional == {("GET", path): PAGES for path in OUR_LISTS}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_document_of_a_version_has_its_operations_and_those_without_one(version: str) -> None:
    other = "v2" if version == "v1" else "v1"

    paths = set(document(described("base", version))["paths"])

    assert paths == {path for _, path in ours() if f"/{other}/" not in path}
