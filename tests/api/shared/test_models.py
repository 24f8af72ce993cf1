"""Models: create, list, bring back."""

import pytest
from django.contrib.auth.models import User

from qanat.server.risk_models.models import RiskModel
from tests.api.caller import BAD_REQUEST, CREATED, OK, Caller, ids
from tests.factories import make_data_file, make_model

IDENTITY = {"supplier_id": "OasisLMF", "model_id": "PiWind", "version_id": "2"}
BOTH = {"id", *IDENTITY, "created", "modified", "data_files", "settings", "versions", "run_mode"}
FIELDS = {"v1": BOTH, "v2": {*BOTH, "scaling_configuration", "chunking_configuration", "groups"}}


def test_a_model_is_created_from_its_identity(api: Caller, version: str) -> None:
    answer = api.post("models/", IDENTITY)

    assert (answer.code, set(answer.body)) == (CREATED, FIELDS[version])
    assert {name: answer.body[name] for name in IDENTITY} == IDENTITY
    assert (answer.body["run_mode"], answer.body["data_files"]) == (None, [])


def test_a_model_is_created_with_its_data_files_and_run_mode(api: Caller, version: str) -> None:
    data_file = make_data_file()

    answer = api.post("models/", {**IDENTITY, "data_files": [data_file.pk], "run_mode": version.upper()})

    assert (answer.body["data_files"], answer.body["run_mode"]) == ([data_file.pk], version.upper())


@pytest.mark.parametrize("field", IDENTITY)
@pytest.mark.parametrize("value", [None, "", "x" * 256])
def test_a_model_needs_the_whole_of_its_identity(api: Caller, field: str, value: object) -> None:
    answer = api.post("models/", {**IDENTITY, field: value})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {field})


def test_all_that_a_model_lacks_is_told_at_once(api: Caller) -> None:
    answer = api.post("models/", {})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, set(IDENTITY))


@pytest.mark.parametrize(
    ("field", "value"),
    [("run_mode", "V3"), ("run_mode", 1), ("data_files", [99]), ("data_files", "x"), ("data_files", [{}])],
)
def test_a_bad_field_is_refused_by_name(api: Caller, field: str, value: object) -> None:
    answer = api.post("models/", {**IDENTITY, field: value})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {field})


def test_an_identity_stands_once(api: Caller) -> None:
    api.post("models/", IDENTITY)

    again = api.post("models/", IDENTITY)

    assert (again.code, set(again.body)) == (BAD_REQUEST, {"non_field_errors"})
    assert RiskModel.objects.count() == 1


def test_models_are_listed_in_the_order_of_ids(api: Caller, version: str) -> None:
    rows = [make_model(run_mode=version.upper()) for _ in range(3)]

    answer = api.get("models/")

    assert (answer.code, ids(answer)) == (OK, [row.pk for row in rows])
    assert set(answer.body[0]) == FIELDS[version]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"supplier_id": "ACME"}, 1),
        ({"supplier_id": "ac"}, 0),
        ({"supplier_id__contains": "C"}, 1),
        ({"model_id__contains": "flood"}, 1),
        ({"version_id": "7"}, 1),
        ({"created__gt": "2000-01-01"}, 2),
    ],
)
def test_models_are_filtered(api: Caller, query: dict[str, str], found: int) -> None:
    make_model(supplier_id="Acme", model_id="Flood", version_id="7")
    make_model()

    answer = api.get("models/", **query)

    assert len(answer.body) == found


def test_creating_a_deleted_model_brings_it_back(api: Caller, user: User, version: str) -> None:
    hidden = make_model(deleted=True, run_mode=version.upper())
    identity = {name: getattr(hidden, name) for name in IDENTITY}

    answer = api.post("models/", identity)

    assert (answer.code, answer.body["id"]) == (OK, hidden.pk)
    assert ids(api.get("models/")) == [hidden.pk]
    assert RiskModel.objects.get().creator == user
