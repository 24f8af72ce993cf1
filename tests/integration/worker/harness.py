"""Runs whole plans at the worker's level: every step in a runner of its own, outputs handed on through files.

Server-side steps are left out, as they compute nothing.
"""

import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qanat.contract import labels
from qanat.contract.statuses import RunKind, RunMode
from qanat.domain.run_plan import PlannedStep, plan
from qanat.worker.identity import locate
from qanat.worker.job import Answer, GivenFile, Job, ModelOnDisk, Spec

SOURCE = Path(__file__).parents[3] / "src"


@dataclass(kw_only=True)
class StepRun:
    """How one step went."""

    slug: str
    seconds: float
    answer: Answer
    log: str


@dataclass(kw_only=True)
class PlanRun:
    """How a plan went, and the files that it made."""

    steps: list[StepRun] = field(default_factory=list)
    files: dict[str, GivenFile] = field(default_factory=dict)

    def step(self, slug: str) -> StepRun:
        """Return the run of one step."""
        return next(step for step in self.steps if step.slug == slug)

    def results(self) -> dict[str, str]:
        """Return the CSV files of the output archive: base name -> text."""
        found: dict[str, str] = {}
        with tarfile.open(self.files[labels.OUTPUT].path) as archive:
            for member in archive:
                content = archive.extractfile(member)
                if member.name.endswith(".csv") and content is not None:
                    found[Path(member.name).name] = content.read().decode()
        return found


def run_plan(  # noqa: PLR0913 - what distinguishes one run from another
    *,
    model: Path,
    given: Mapping[str, Path],
    directory: Path,
    mode: RunMode,
    kind: RunKind = RunKind.BOTH,
    lookup_chunks: int = 1,
    loss_chunks: int = 1,
    cores: int = 2,
) -> PlanRun:
    """Run all steps in order; stop at the first that fails."""
    found = locate(model)
    on_disk = ModelOnDisk(
        directory=found.directory, config_file=found.config_file, settings_file=found.settings_file
    )
    done = PlanRun(files={label: GivenFile(path=path, filename=path.name) for label, path in given.items()})
    steps = plan(kind=kind, mode=mode, lookup_chunks=lookup_chunks, loss_chunks=loss_chunks).steps()
    for step in steps:
        if step.server_side:
            continue
        run = _run(step, done, on_disk, directory / step.slug, loss_chunks=loss_chunks, cores=cores)
        done.steps.append(run)
        for label, made in run.answer.outputs.items():
            done.files[label] = GivenFile(path=made.path, filename=made.filename)
        if run.answer.failure_class is not None:
            break
    return done


def _run(  # noqa: PLR0913 - as above
    step: PlannedStep, done: PlanRun, model: ModelOnDisk, directory: Path, *, loss_chunks: int, cores: int
) -> StepRun:
    for name in ("work", "out", "tmp"):
        (directory / name).mkdir(parents=True)
    log = directory / "log.txt"
    spec = Spec(
        job=Job(
            task=step.task,
            slug=step.slug,
            index=step.index,
            count=step.count,
            loss_chunks=loss_chunks,
            analysis_id=1,
            inputs={label: done.files[label] for label in step.reads if label in done.files},
            work=directory / "work",
            out=directory / "out",
            log=log,
            cores=cores,
        ),
        model=model,
        answer=directory / "answer.json",
    )
    spec.write(directory / "spec.json")
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": os.environ.get("HOME", "/"),
        "TMPDIR": str(directory / "tmp"),
        "PYTHONPATH": str(SOURCE),
        "TQDM_DISABLE": "1",
    }
    begin = time.monotonic()
    with log.open("wb") as output:
        subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "qanat.worker.runner", str(directory / "spec.json")],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            check=False,
        )
    seconds = time.monotonic() - begin
    text = log.read_text(encoding="utf-8", errors="replace")
    return StepRun(slug=step.slug, seconds=seconds, answer=Answer.read(spec.answer), log=text)
