"""The losses' steps see that the kernel has done what its run script says."""

import json
import os
from pathlib import Path

import pytest

from qanat.contract import labels, tasks
from qanat.worker import archives
from qanat.worker.identity import ModelIdentity
from qanat.worker.kernel.port import KernelError, LossesJob
from qanat.worker.steps import losses
from qanat.worker.steps.base import StepJob

SCRIPT = """
( lecpy -r -Kwork/gul_S1_summaryleccalc -F -f -p output/gul_S1_ept.csv ) 2>> $LOG_DIR/stderror.err & lpid1=$!
( aalpy -Kgul_S1_summary_palt -a {run}output/gul_S1_palt.csv ) 2>> $LOG_DIR/stderror.err & lpid2=$!
"""
"""In V1, and of a chunk, tables are named within the run directory; where the chunks come together, in whole."""


class Kernel:
    """Writes a script and some of the tables that it names."""

    def __init__(self, *tables: str, whole_paths: bool = False) -> None:
        """Write these."""
        self._tables = tables
        self._whole_paths = whole_paths

    def losses(self, job: LossesJob) -> None:
        """Run."""
        (job.run_directory / "run_kernel.sh").write_text(
            SCRIPT.format(run=f"{job.run_directory}/" if self._whole_paths else "")
        )
        (job.run_directory / "output").mkdir()
        for table in self._tables:
            (job.run_directory / "output" / table).touch()


def job(folder: Path, kernel: Kernel) -> StepJob:
    """Return the losses of a V1 run."""
    (folder / "input.csv").touch()
    settings = folder / "settings.json"
    settings.write_text(json.dumps({}))
    archive = archives.pack(folder, folder / "input.tar", members=["input.csv"])
    model = ModelIdentity(
        supplier_id="S",
        model_id="M",
        version_id="1",
        directory=folder,
        config_path=folder / "oasislmf.json",
        config={},
        settings_path=None,
        settings=None,
    )
    return StepJob(
        task=tasks.RUN_ANALYSIS,
        index=0,
        count=1,
        writes=(),
        parameters={},
        inputs={labels.INPUT: archive, labels.SETTINGS: settings},
        directory=folder,
        model=model,
        kernel=lambda: kernel,  # type: ignore[arg-type,return-value]
    )


@pytest.mark.parametrize("whole_paths", [False, True])
def test_a_run_without_a_table_that_its_script_writes_has_failed(tmp_path: Path, *, whole_paths: bool) -> None:
    lacking = job(tmp_path, Kernel("gul_S1_ept.csv", whole_paths=whole_paths))

    with pytest.raises(KernelError, match=r"has not written output/gul_S1_palt\.csv"):
        losses.whole(lacking)

    assert labels.OUTPUT not in lacking.outputs


@pytest.mark.parametrize("whole_paths", [False, True])
def test_a_run_with_all_tables_has_not(tmp_path: Path, *, whole_paths: bool) -> None:
    complete = job(tmp_path, Kernel("gul_S1_ept.csv", "gul_S1_palt.csv", whole_paths=whole_paths))

    losses.whole(complete)

    assert labels.OUTPUT in complete.outputs


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system keeps no process to some of its cores")
def test_a_worker_kept_to_some_cores_runs_as_many_kernel_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7})

    assert job(tmp_path, Kernel()).processes == 3
