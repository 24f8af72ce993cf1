"""Every import contract is seen to fail when it is broken: one that cannot fail holds nothing."""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Contract, a module of ours, and the import that it must not have.
BREACHES = {
    "layers": ("qanat/domain/scaling.py", "import qanat.storage"),
    "server": ("qanat/server/runs/clock.py", "import qanat.server.analyses.models"),
    "api": ("qanat/server/api/v1/urls.py", "import qanat.server.api.v2.urls"),
    "worker": ("qanat/worker/kernel/port.py", "import qanat.worker.supervisor"),
    "words": ("qanat/contract/queues.py", "import kombu"),
    "rules": ("qanat/domain/chunking.py", "import django"),
    "no_django": ("qanat/worker/run_dir.py", "import django"),
    "no_kernel": ("qanat/server/portfolios/queries.py", "import oasislmf"),
}


def lint(folder: Path) -> dict[str, bool]:
    """Return whether each contract is kept, by its name."""
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    done = subprocess.run(
        [sys.executable, "-c", code, "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        match[1]: match[2] == "KEPT"
        for match in re.finditer(r"^(\S.*\S) (KEPT|BROKEN)\b", done.stdout, flags=re.MULTILINE)
    }


def contracts() -> dict[str, str]:
    """Return the names of the contracts by their ids."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    prefix = "importlinter:contract:"
    return {section.removeprefix(prefix): parser[section]["name"] for section in parser if section.startswith(prefix)}


def test_every_contract_has_a_breach() -> None:
    assert set(BREACHES) == set(contracts())


@pytest.mark.parametrize("contract", sorted(BREACHES))
def test_a_breach_breaks_its_contract(contract: str, tmp_path: Path) -> None:
    module, breach = BREACHES[contract]
    shutil.copytree(ROOT / "src" / "qanat", tmp_path / "qanat", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / ".importlinter", tmp_path / ".importlinter")
    broken = tmp_path / module

    broken.write_text(f"{broken.read_text()}\n{breach}\n")

    assert lint(tmp_path)[contracts()[contract]] is False


def test_the_tree_keeps_them_all(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src" / "qanat", tmp_path / "qanat", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / ".importlinter", tmp_path / ".importlinter")

    kept = lint(tmp_path)

    assert kept == dict.fromkeys(contracts().values(), True)
