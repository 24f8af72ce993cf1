"""Compiles before the first run what would be compiled during it: `qanat worker warm`.

numba compiles the kernel's functions for the types that they meet, and the kernel's reports for each number of samples
anew: minutes of a core that the first run after an installation would wait for. So a small portfolio is run through the
demonstration model, with all perspectives and all reports; what is compiled stays in numba's cache, beside the kernel
or in ``NUMBA_CACHE_DIR``. That cache holds for one kind of processor; with ``NUMBA_CPU_NAME``, here and at work, one
that is made on another machine serves all that have at least what the name stands for, such as ``x86-64-v3``.

An image's build calls it; a worker that finds that nobody has calls it when it starts, in the background.
"""

import argparse
import fcntl
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from qanat.configuration.places import default_work_dir
from qanat.contract import labels
from qanat.contract.statuses import RunKind, RunMode
from qanat.demo.model import write_model
from qanat.demo.portfolio import write_portfolio
from qanat.domain.run_plan import plan
from qanat.worker import compiled, processes, shims
from qanat.worker.fork_server import Lifeline
from qanat.worker.identity import identify
from qanat.worker.local_run import StepFailed, run_plan
from qanat.worker.runners import Runners, runner_environment

LOCATIONS: Final = 20
SAMPLES: Final = (10, 100)
NICE: Final = 5
"""In the background it yields to the worker's steps, but not to a standstill: a step may wait for what it compiles."""
PERSPECTIVES: Final = ("gul", "il", "ri")
REPORTS: Final = (
    *(f"{table}_{kind}" for table in ("elt", "plt") for kind in ("sample", "quantile", "moment")),
    *(
        f"ept_{kind}_{measure}"
        for kind in ("full_uncertainty", "mean_sample", "per_sample_mean")
        for measure in ("aep", "oep")
    ),
    "psept_aep",
    "psept_oep",
    "alt_period",
    "return_period_file",
)
"""All of ORD's."""


def main() -> int:
    """Read the options and compile; return the exit code."""
    parser = argparse.ArgumentParser(prog="qanat worker warm", description="Compile the kernel before the first run.")
    parser.add_argument(
        "--samples", type=int, nargs="+", default=list(SAMPLES), help="numbers of samples to compile for [10 100]"
    )
    parser.add_argument("--cpu", help="kind of processor to compile for, such as x86-64-v3 [this one; NUMBA_CPU_NAME]")
    parser.add_argument("--once", action="store_true", help="do nothing if it has been done")
    parser.add_argument("--work-dir", type=Path, default=default_work_dir(), help="that of the worker")
    parser.add_argument("--parent-fd", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.parent_fd is not None:
        Lifeline((options.parent_fd,), processes.kill_own_session).watch()
        os.nice(NICE)
    if options.cpu:
        os.environ["NUMBA_CPU_NAME"] = options.cpu
    mark = compiled.mark(options.work_dir)
    mark.parent.mkdir(parents=True, exist_ok=True)
    # Workers of several models may start at once: the second finds that the first has done it.
    with mark.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if options.once and mark.exists():
            return 0
        try:
            compile_all(options.samples, options.work_dir)
        except StepFailed as failure:
            print(failure, file=sys.stderr)  # noqa: T201 - a command speaks to a person
            return 1
        mark.touch()
    return 0


def compile_all(samples: list[int], work_dir: Path) -> None:
    """Run the demonstration model for each number of samples, as a worker with ``work_dir`` would.

    Raises:
        StepFailed: the kernel failed.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="qanat-warm-") as name:
        folder = Path(name)
        write_model(folder / "model")
        portfolio = write_portfolio(folder / "portfolio", locations=LOCATIONS)
        wanted = json.loads(portfolio.settings.read_text()) | _all_reports()
        forks = Runners(environment=runner_environment(work_dir))
        try:
            for number in samples:
                begun = time.monotonic()
                portfolio.settings.write_text(json.dumps({**wanted, "number_of_samples": number}))
                run_plan(
                    plan(kind=RunKind.BOTH, mode=RunMode.V1, lookup_chunks=1, loss_chunks=1),
                    model=identify(folder / "model"),
                    inputs={
                        labels.LOCATION: portfolio.location,
                        labels.ACCOUNTS: portfolio.accounts,
                        labels.REINSURANCE_INFO: portfolio.reinsurance_info,
                        labels.REINSURANCE_SCOPE: portfolio.reinsurance_scope,
                        labels.SETTINGS: portfolio.settings,
                    },
                    directory=folder / f"run-{number}",
                    runners=forks,
                    shim=shims.compiled(work_dir),
                )
                print(f"{number} samples: {time.monotonic() - begun:.0f} s", flush=True)  # noqa: T201 - as above
        finally:
            forks.close()


def _all_reports() -> Mapping[str, Any]:
    summaries = [{"id": 1, "ord_output": dict.fromkeys(REPORTS, True)}]
    return {f"{perspective}_summaries": summaries for perspective in PERSPECTIVES}


if __name__ == "__main__":
    sys.exit(main())
