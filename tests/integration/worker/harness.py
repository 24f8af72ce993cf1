"""Runs a whole plan through the worker's runner, step by step, without a server."""

import json
from pathlib import Path

from qanat.contract import labels
from qanat.domain.run_plan import RunPlan
from qanat.worker.identity import identify
from qanat.worker.run_dir import RESULT
from qanat.worker.runners import Runners


class StepFailed(Exception):
    """A step failed; the message has its log."""


def run_plan(
    plan: RunPlan, *, model_dir: Path, inputs: dict[str, Path], directory: Path, runners: Runners
) -> dict[str, Path]:
    """Run the steps of a plan in order and return all files by label."""
    files = dict(inputs)
    model = identify(model_dir)
    for step in plan.steps():
        if step.server_side:
            continue
        attempt = directory / step.slug
        attempt.mkdir(parents=True)
        wanted = [label for label in files if label in step.reads or _is_complex(label, step.reads)]
        spec = {
            "task": step.task,
            "index": step.index,
            "count": step.count,
            "loss_chunks": 1,
            "parameters": {},
            "inputs": {label: str(files[label]) for label in wanted},
            "model_dir": str(model_dir),
            "config_path": str(model.config_path),
            "settings_path": str(model.settings_path) if model.settings_path else None,
            "supplier_id": model.supplier_id,
            "model_id": model.model_id,
            "version_id": model.version_id,
            "shim": None,
        }
        (attempt / "spec.json").write_text(json.dumps(spec))
        (attempt / "tmp").mkdir()
        runner = runners.start(step.task, attempt / "spec.json", log=attempt / "log.txt", temporary=attempt / "tmp")
        runner.wait()
        runner.close()
        result = json.loads((attempt / RESULT).read_text())
        if "failure_class" in result:
            message = f"{step.slug}: {result['message']}\n{(attempt / 'log.txt').read_text()[-5000:]}"
            raise StepFailed(message)
        files |= {label: Path(path) for label, path in result["outputs"].items()}
    return files


def _is_complex(label: str, reads: tuple[str, ...]) -> bool:
    return labels.COMPLEX_DATA_PREFIX in reads and label.startswith(labels.COMPLEX_DATA_PREFIX)
