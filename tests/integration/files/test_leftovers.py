"""What killed uploads have left goes after a day, and nothing else."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from qanat.server.files.storage import storage
from qanat.server.runs import clock
from qanat.server.runs.housekeeping import discard_unfinished_uploads


@pytest.mark.django_db
def test_leftovers_of_a_day_ago_go_and_younger_ones_stay(tmp_path: Path, settings: Settings) -> None:
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    now = clock.now()
    for name, age in {"old": timedelta(hours=25), "young": timedelta(hours=23)}.items():
        folder = tmp_path / f"conversion-{name}"
        folder.mkdir()
        (folder / "source.csv").write_text("a")
        (tmp_path / f"{name}.upload").write_text("a")
        for path in (folder, tmp_path / f"{name}.upload"):
            os.utime(path, times=((now - age).timestamp(),) * 2)
    storage().write("kept", [b"x"])

    discard_unfinished_uploads(now=now)

    assert {path.name for path in tmp_path.iterdir()} == {"conversion-young", "young.upload"}
    assert storage().exists("kept")
