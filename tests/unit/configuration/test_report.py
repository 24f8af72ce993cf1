"""What is given and changes nothing is told, with the reason or with the name that may be meant."""

import logging
import re
from pathlib import Path

import pytest

import qanat
from qanat.configuration import report
from qanat.configuration.report import Remark
from qanat.configuration.server import ServerSettings
from qanat.configuration.sources import Sources
from tests.conftest import ROOT


def test_a_variable_that_nobody_reads_is_told_with_the_nearest_that_somebody_does() -> None:
    given = Sources.read(
        {"OASIS_SERVER_DB_HOSST": "h", "QANAT_BROKER_ULR": "redis://", "OASIS_XYZ": "", "PATH": "/bin"}
    )

    assert report.unknown(given) == (
        Remark(name="OASIS_SERVER_DB_HOSST", why="OASIS_SERVER_DB_HOST"),
        Remark(name="OASIS_XYZ", why=""),
        Remark(name="QANAT_BROKER_ULR", why="QANAT_BROKER_URL"),
    )


def test_a_key_of_the_ini_file_that_nobody_reads_is_told_with_its_place(tmp_path: Path) -> None:
    ini = tmp_path / "conf.ini"
    ini.write_text("[server]\ndb_hosst = h\ndb_host = h\n[worker.default_reader_engine_options]\nwhatever = 1\n")
    given = Sources.read({"OASIS_INI_PATH": str(ini)})

    assert report.unknown(given) == (Remark(name=f"[server] DB_HOSST in {ini}", why="[server] DB_HOST"),)
    assert report.without_effect(given) == (
        Remark(name=f"[worker.default_reader_engine_options] WHATEVER in {ini}", why="the kernel reads with pandas"),
    )


@pytest.mark.parametrize(
    "variable",
    [
        "OASIS_WORKER_LOCK_FILE",
        "OASIS_LOCK_FILE",
        "OASIS_CHANNEL_LAYER_HOST",
        "OASIS_WORKER_MODEL_DATA_STORAGE_TYPE",
        "OASIS_WORKER_DEFAULT_READER_ENGINE_OPTIONS_ANY",
        "OASIS_USE_OIDC",
    ],
)
def test_a_variable_without_effect_is_told_with_the_reason(variable: str) -> None:
    given = Sources.read({variable: "x"})

    [remark] = report.without_effect(given)
    assert remark.name == variable
    assert len(remark.why) > 10
    assert report.unknown(given) == ()


@pytest.mark.parametrize("variable", ["OASIS_STORAGE_TYPE", "OASIS_DB_HOST", "OASIS_AWS_LOCATION"])
def test_a_global_name_that_one_section_uses_has_an_effect(variable: str) -> None:
    given = Sources.read({variable: "x"})

    assert report.without_effect(given) == report.unknown(given) == ()


def test_the_log_is_told_at_the_start_but_no_value(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    report.log_at_start(Sources.read({"OASIS_SERVER_DB_PASSS": "hush", "OASIS_CHANNEL_LAYER_PASS": "hush"}))

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "Nobody reads OASIS_SERVER_DB_PASSS: perhaps OASIS_SERVER_DB_PASS is meant"),
        ("INFO", "Without effect here (qanat doctor says why): OASIS_CHANNEL_LAYER_PASS"),
    ]


def test_what_has_no_effect_beside_another_is_said_so_where_it_is_given() -> None:
    given = Sources.read({"QANAT_DATABASE_URL": "postgresql://host/losses", "OASIS_DB_HOST": "other"})

    rows = {row.name: row for row in report.in_effect("server", ServerSettings.read(given))}

    assert rows["OASIS_SERVER_DB_HOST"].value == "other (without effect: QANAT_DATABASE_URL goes before it)"
    assert "OASIS_SERVER_DB_ENGINE" not in rows
    assert "QANAT_AWS_QUERYSTRING_EXPIRE" not in rows


def test_every_variable_of_ours_in_the_source_and_in_the_pages_is_known() -> None:
    source = Path(qanat.__file__).parent
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *source.rglob("*.py")]
    named = {name for path in pages for name in re.findall(r"\bQANAT_[A-Z0-9_]*[A-Z0-9]\b(?!_)", path.read_text())}

    assert named
    assert {name for name in named if not report.is_known(name)} == set()
