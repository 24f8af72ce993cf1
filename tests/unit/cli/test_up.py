"""What `qanat up` makes of the environment before it starts anything."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from qanat.cli.up import command
from qanat.cli.up.layout import Layout
from qanat.cli.up.platform import Platform
from qanat.configuration.sources import Sources


def test_names_that_nobody_reads_are_told() -> None:
    paper = io.StringIO()

    command.warn_of_unknown(Sources.read({"QANAT_BROKER_ULR": "x", "QANAT_DEBUG": "1"}), Console(file=paper, width=20))

    assert paper.getvalue() == "Nobody reads QANAT_BROKER_ULR: perhaps QANAT_BROKER_URL is meant\n"


@pytest.mark.parametrize(
    ("variable", "value"),
    [("QANAT_ALLOWED_HOSTS", '["losses.example"]'), ("OASIS_SERVER_ALLOWED_HOSTS", "losses.example")],
)
def test_hosts_are_those_that_are_given_and_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, value: str
) -> None:
    monkeypatch.delenv("QANAT_ALLOWED_HOSTS")
    monkeypatch.setenv(variable, value)
    platform = Platform(layout=Layout(tmp_path), models=[], host="10.0.0.1")

    assert platform._allowed_hosts() == "losses.example,localhost,127.0.0.1,10.0.0.1"


def test_settings_with_which_the_server_would_not_start_are_told_at_once(tmp_path: Path) -> None:
    environment = {**os.environ, "OASIS_INI_PATH": str(tmp_path / "absent.ini")}
    words = [sys.executable, "-m", "qanat.cli.main", "up", "--no-demo-model", "--data-dir", str(tmp_path / "data")]

    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert f"Error: OASIS_INI_PATH names {tmp_path / 'absent.ini'}, which cannot be read" in done.stderr
