"""Models that bring code of their own run on warm workers as they would on any other."""

import os
import sys
from pathlib import Path

import pytest

from qanat.configuration.cores import usable_cores
from qanat.demo import MODEL_ID
from qanat.demo.model import write_model
from qanat.worker.runners import Runners, runner_environment
from tests.integration.worker.conftest import Losses, change

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="runners are forked on Linux only"),
]
LOOKUP = f"""
from oasislmf.lookup.builtin import Lookup

import tables


class {MODEL_ID}KeysLookup(Lookup):
    def process_locations(self, locations):
        return tables.adjusted(super().process_locations(locations))
"""
AS_THEY_ARE = "def adjusted(keys): return keys"
ALL_ALIKE = "def adjusted(keys): return keys.assign(vulnerability_id=1)"
GULCALC = """#!/bin/sh
echo "$0 $*" >>"$(dirname "$0")/called"
evepy "$2" "$3" | gulmc --random-generator=2 --vuln-cache-size 200 -S10 -L0 -a1
"""


def model_with_lookup(folder: Path, tables: str) -> Path:
    """Write a model whose keys come from a module ``lookup`` that uses another, ``tables``."""
    write_model(folder)
    keys = folder / "keys_data" / MODEL_ID
    (keys / "lookup.py").write_text(LOOKUP)
    (keys / "tables.py").write_text(tables)
    change(keys / "lookup_config.json", lookup_module_path="lookup.py")
    return folder


def test_two_models_whose_modules_have_the_same_names_do_not_meet(
    tmp_path: Path, model: Path, runners: Runners, losses: Losses
) -> None:
    ours = model_with_lookup(tmp_path / "ours", AS_THEY_ARE)
    theirs = model_with_lookup(tmp_path / "theirs", ALL_ALIKE)

    first, other, again = losses(ours, runners), losses(theirs, runners), losses(ours, runners)

    assert first == losses(model, runners)
    assert again == first
    assert other.keys() == first.keys()
    assert other != first


def test_a_loss_tool_of_the_models_own_is_called(
    tmp_path: Path, model: Path, losses: Losses, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    gulcalc = tools / "vendor_gulcalc"
    gulcalc.write_text(GULCALC)
    gulcalc.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    runners = Runners(environment=runner_environment(tmp_path))
    try:
        usual = losses(model, runners)
        change(model / "oasislmf.json", model_custom_gulcalc="vendor_gulcalc")

        own = losses(model, runners)
    finally:
        runners.close()

    assert len((tools / "called").read_text().splitlines()) == usable_cores()
    assert own == usual
