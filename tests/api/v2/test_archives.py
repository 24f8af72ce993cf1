"""Looking into the inputs and outputs of an analysis without downloading them."""

import io
import tarfile

import pytest

from qanat.server.analyses.models import Analysis
from tests.api.caller import BAD_REQUEST, NOT_FOUND, OK, Caller
from tests.factories import make_analysis, make_file

MEMBERS = {
    "location.csv": (b"LocNumber\n1\n", "text/csv"),
    "output/gul.parquet": (b"PAR1", "application/octet-stream"),
    "output/gul.pq": (b"PAR1", "application/octet-stream"),
    "analysis_settings.json": (b"{}", "application/json"),
    "run_ktools.sh": (b"#!/bin/sh\n", "text/html; charset=utf-8"),
}


@pytest.fixture(params=["input_file", "output_file"])
def field(request: pytest.FixtureRequest) -> str:
    """Each file that is an archive."""
    return str(request.param)


@pytest.fixture
def archived(db: None, field: str) -> Analysis:
    """An analysis with such an archive, in which lies a folder and a link besides."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, (content, _) in MEMBERS.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        folder, link = tarfile.TarInfo("output"), tarfile.TarInfo("link.csv")
        folder.type, link.type, link.linkname = tarfile.DIRTYPE, tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(folder)
        archive.addfile(link)
    file = make_file(target.getvalue(), filename="a.tar.gz", content_type="application/gzip")
    row = make_analysis()
    Analysis.objects.update(**{field: file})
    return row


def test_the_files_in_an_archive_are_listed(api: Caller, archived: Analysis, field: str) -> None:
    answer = api.get(f"analyses/{archived.pk}/{field}_tar_list/")

    assert (answer.code, answer.body) == (OK, list(MEMBERS))


@pytest.mark.parametrize("name", MEMBERS)
def test_one_file_of_an_archive_is_downloaded(api: Caller, archived: Analysis, field: str, name: str) -> None:
    content, content_type = MEMBERS[name]

    answer = api.get(f"analyses/{archived.pk}/{field}_tar_extract/", filename=name)

    assert (answer.code, answer.content) == (OK, content)
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name.rpartition("/")[2]}"'


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nothing.csv",
        "output",
        "output/",
        "./location.csv",
        "link.csv",
        "../location.csv",
        "/etc/passwd",
        "\0",
    ],
)
def test_what_is_no_file_of_the_archive_is_refused(api: Caller, archived: Analysis, field: str, name: str) -> None:
    answer = api.get(f"analyses/{archived.pk}/{field}_tar_extract/", filename=name)

    assert (answer.code, answer.body) == (BAD_REQUEST, ["Invalid filename."])


@pytest.mark.parametrize("route", ["tar_list/", "tar_extract/"])
def test_an_archive_that_is_not_there_is_not_found(api: Caller, analysis: Analysis, field: str, route: str) -> None:
    assert api.get(f"analyses/{analysis.pk}/{field}_{route}").code == NOT_FOUND
