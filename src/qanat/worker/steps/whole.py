"""A phase as a whole in one step, as V1 runs it (wire contract, section 4.5)."""

from typing import Any

from qanat.worker.steps.inputs import write_inputs
from qanat.worker.steps.losses import (
    hand_on_results,
    hand_on_run_log,
    processes,
    required_settings,
    unpacked_inputs,
)
from qanat.worker.steps.workbench import Workbench


def generate_input(bench: Workbench) -> dict[str, Any]:
    """Look up the keys and write the kernel's input files."""
    return write_inputs(bench, exposure=bench.exposure(), keys=None)


def run_analysis(bench: Workbench) -> dict[str, Any]:
    """Compute all losses and write the results."""
    settings = required_settings(bench)
    inputs = unpacked_inputs(bench)
    run = bench.job.work / "run"
    run.mkdir()
    try:
        bench.kernel.whole_losses(
            inputs=inputs, settings=settings, user_data=bench.job.user_data, run=run, processes=processes(bench)
        )
    finally:
        hand_on_run_log(bench, run)
    hand_on_results(bench, run)
    return {}
