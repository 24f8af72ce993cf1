"""A whole run on this host, step by step, without a server."""

import json
from collections.abc import Mapping
from pathlib import Path

from qanat.contract import labels
from qanat.domain.run_plan import RunPlan
from qanat.worker.identity import ModelIdentity
from qanat.worker.run_dir import RESULT
from qanat.worker.runner_spec import RunnerSpec
from qanat.worker.runners import Runners


class StepFailed(Exception):
    """A step failed; the message has the end of its log."""


LOG_TAIL = 5_000


def run_plan(  # noqa: PLR0913 - what is run, on what, where and how
    plan: RunPlan,
    *,
    model: ModelIdentity,
    inputs: Mapping[str, Path],
    directory: Path,
    runners: Runners,
    shim: Path | None = None,
) -> dict[str, Path]:
    """Run the steps of a plan in order, each in a folder of its own; return all files by label.

    Raises:
        StepFailed: one failed.
    """
    files = dict(inputs)
    for step in plan.steps():
        if step.server_side:
            continue
        attempt = directory / step.slug
        temporary = attempt / "tmp"
        temporary.mkdir(parents=True)
        spec = RunnerSpec.of(
            model,
            task=step.task,
            index=step.index,
            count=step.count,
            writes=step.writes,
            parameters={},
            inputs={label: path for label, path in files.items() if _reads(step.reads, label)},
            shim=shim,
        ).write(attempt)
        log = attempt / "log.txt"
        runner = runners.start(step.task, spec, log=log, temporary=temporary)
        try:
            runner.wait()
        finally:
            runner.close()
        result = json.loads((attempt / RESULT).read_text()) if (attempt / RESULT).exists() else {}
        if not result or "failure_class" in result:
            message = f"{step.slug}: {result.get('message', 'it was killed')}\n{log.read_text()[-LOG_TAIL:]}"
            raise StepFailed(message)
        files |= {label: Path(path) for label, path in result["outputs"].items()}
    return files


def _reads(reads: tuple[str, ...], label: str) -> bool:
    data = labels.COMPLEX_DATA_PREFIX
    return label in reads or (data in reads and label.startswith(data))
