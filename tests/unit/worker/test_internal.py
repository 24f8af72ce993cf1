"""The internal worker: the same as any, without a model."""

import subprocess
import sys
from pathlib import Path

import pytest

from qanat.worker import main
from qanat.worker.identity import identify, internal
from qanat.worker.settings import WorkerSettings

HEAVY = {"pandas", "numpy", "numba", "oasislmf", "ods_tools", "pyarrow"}


def test_it_is_who_the_contract_says_and_has_an_empty_model() -> None:
    identity = internal()

    assert str(identity) == "oasis/internal/worker"
    assert (identity.config, identity.settings) == ({}, None)


def test_it_listens_on_its_own_queue_and_a_models_worker_does_not(tmp_path: Path) -> None:
    (tmp_path / "oasislmf.json").write_text("{}")
    model = identify(tmp_path, supplier_id="Acme", model_id="Flood", version_id="1")

    assert main._queues(WorkerSettings(), internal()) == ["oasis-internal-worker"]
    assert main._queues(WorkerSettings(model_dir=tmp_path), model) == ["Acme-Flood-1", "Acme-Flood-1-v2"]


def test_it_imports_nothing_heavy_while_it_is_idle() -> None:
    programme = "import sys; import qanat.worker.__main__; print(*{name.split('.')[0] for name in sys.modules})"

    done = subprocess.run([sys.executable, "-c", programme], capture_output=True, text=True, check=True)

    loaded = set(done.stdout.split())
    assert "qanat" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("options", [[], ["--model", ".", "--run-mode", "server-internal"]], ids=["neither", "both"])
def test_either_a_model_or_the_run_mode_is_given(options: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "qanat.worker", *options], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "give either --model DIR or --run-mode server-internal" in done.stderr
