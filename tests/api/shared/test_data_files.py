"""Data files: described, filled, filtered, deleted."""

import pytest

from qanat.server.analyses.models import Analysis
from qanat.server.data_files.models import DataFile
from tests.api.caller import BAD_REQUEST, CREATED, NO_CONTENT, NOT_FOUND, OK, Caller, ids
from tests.factories import make_data_file, make_file

BOTH = {"id", "file_description", "file_category", "created", "modified", "file", "filename", "stored", "content_type"}
FIELDS = {"v1": BOTH, "v2": {*BOTH, "groups"}}


def test_a_data_file_is_created_from_a_description(api: Caller, version: str) -> None:
    answer = api.post("data_files/", {"file_description": "Footprint"})

    assert (answer.code, set(answer.body)) == (CREATED, FIELDS[version])
    assert answer.body["file_description"] == "Footprint"
    assert {answer.body[name] for name in ("file", "filename", "stored", "content_type", "file_category")} == {None}


@pytest.mark.parametrize("body", [{}, {"file_description": ""}, {"file_description": "x" * 256}])
def test_a_data_file_needs_a_description(api: Caller, body: dict[str, str]) -> None:
    answer = api.post("data_files/", body)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"file_description"})


@pytest.mark.parametrize("content_type", ["application/octet-stream", "image/png", "application/x-hdf"])
def test_content_of_any_type_comes_back(api: Caller, version: str, content_type: str) -> None:
    row = make_data_file()

    receipt = api.upload(f"data_files/{row.pk}/content/", b"\x00\x01", name="data.bin", content_type=content_type)
    answer = api.get(f"data_files/{row.pk}/content/")

    assert receipt.code == OK
    assert (answer.content, answer.headers["Content-Type"]) == (b"\x00\x01", content_type)
    shown = api.get(f"data_files/{row.pk}/").body
    assert shown["file"] == f"http://testserver/{version}/data_files/{row.pk}/content/"
    assert (shown["filename"], shown["content_type"]) == ("data.bin", content_type)
    assert shown["stored"] == receipt.body["file"]


def test_content_whose_type_contradicts_its_suffix_is_refused(api: Caller) -> None:
    row = make_data_file()

    answer = api.upload(f"data_files/{row.pk}/content/", b"x", name="data.csv", content_type="image/png")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"file"})


def test_a_data_file_without_content_has_none_to_give(api: Caller) -> None:
    row = make_data_file()

    assert api.get(f"data_files/{row.pk}/content/").code == NOT_FOUND
    assert api.delete(f"data_files/{row.pk}/content/").code == NOT_FOUND


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"filename": "FOOTPRINT.BIN"}, ["Footprint"]),
        ({"filename__contains": "foot"}, ["Footprint"]),
        ({"content_type__contains": "octet"}, ["Footprint"]),
        ({"file_description": "other"}, ["Other"]),
        ({"file_category__contains": "haz"}, ["Footprint"]),
        ({"created__lt": "2000-01-01"}, []),
    ],
)
def test_data_files_are_filtered(api: Caller, query: dict[str, str], found: list[str]) -> None:
    file = make_file(filename="footprint.bin", content_type="application/octet-stream")
    make_data_file(file_description="Footprint", file_category="hazard", file=file)
    make_data_file(file_description="Other")

    answer = api.get("data_files/", **query)

    assert [row["file_description"] for row in answer.body] == found


def test_a_deleted_data_file_is_taken_off_its_analyses(api: Caller, analysis: Analysis) -> None:
    row = make_data_file(file=make_file())
    analysis.complex_model_data_files.add(row)

    answer = api.delete(f"data_files/{row.pk}/")

    assert answer.code == NO_CONTENT
    assert not DataFile.objects.exists()
    assert api.get(f"analyses/{analysis.pk}/").body["complex_model_data_files"] == []


def test_an_analysis_shows_its_data_files(api: Caller, analysis: Analysis) -> None:
    row = make_data_file(file_description="Footprint")
    analysis.complex_model_data_files.add(row)

    answer = api.get(f"analyses/{analysis.pk}/data_files/")

    assert ids(answer) == [row.pk]
    assert answer.body[0]["file_description"] == "Footprint"


def test_what_is_not_known_of_a_file_is_null_and_never_absent(api: Caller) -> None:
    made = api.post("data_files/", {"file_description": "D"}).body

    changed = api.patch(f"data_files/{made['id']}/", {"file_description": "E"}).body

    assert set(changed) == set(made) == set(api.get(f"data_files/{made['id']}/").body)
    assert [changed[name] for name in ("file", "filename", "stored", "content_type")] == [None] * 4
