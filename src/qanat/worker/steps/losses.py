"""Losses: a run directory prepared, chunks of events computed, reports made (wire contract, section 4.2, L1 to L6)."""

import json
import re
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from qanat.contract import labels
from qanat.worker import archives, progress
from qanat.worker.kernel.port import INPUTS, WORK, ExposureRefused, KernelError, LossesJob
from qanat.worker.steps.base import StepJob
from qanat.worker.steps.combining import add_occurrences

TABLE: Final = r"(?:(?<![\w/.-])|(?<={run}/))output/[\w.-]+\.\w+"
"""The name of a table in a run script: within the run directory, or with the whole path."""
PROCESSES: Final = ".processes.json"
"""In the work archive of a chunk: how many processes its events were shared among. The reports must know."""


def prepare_params(job: StepJob) -> None:
    """L1: see early, and without the kernel, what would fail late.

    Raises:
        ExposureRefused: settings or input archive are not what they should be.
    """
    if job.read_json(labels.SETTINGS) is None:
        message = "The analysis has no settings. Post them, then run it."
        raise ExposureRefused(message)
    if not tarfile.is_tarfile(job.inputs[labels.INPUT]):
        message = "The input archive is damaged. Generate the inputs again."
        raise ExposureRefused(message)


def prepare_directory(job: StepJob) -> None:
    """L2: prepare the run directory, settings with all defaults in it."""
    losses = _losses_job(job)
    job.unpack(labels.INPUT, losses.run_directory / INPUTS)
    kernel = job.kernel()
    kernel.losses_directory(losses)
    archives.note_links(losses.run_directory, data=kernel.model_data)
    job.outputs[labels.RUN_DIRECTORY] = archives.pack(losses.run_directory, job.out / "run_directory.tar")


def chunk(job: StepJob) -> None:
    """L3: compute one chunk of the events."""
    losses = _watched(job, _unpacked(job))
    try:
        job.kernel().losses_chunk(losses, index=job.index, count=job.count)
    finally:
        run = losses.run_directory
        work = _work_of_chunk(run, number=job.index + 1)
        processes = job.count if job.count > 1 else losses.processes
        (work / PROCESSES).write_text(json.dumps(processes))
        label = labels.chunk(labels.LOG_CHUNK, job.index)
        (run / "log").mkdir(exist_ok=True)
        job.outputs[label] = archives.pack(run, job.out / "log.tar", members=["log"])
    label = labels.chunk(labels.WORK_CHUNK, job.index)
    job.outputs[label] = archives.pack(run, job.out / "work.tar", members=[WORK])


def output(job: StepJob) -> None:
    """L4: make the reports of all chunks."""
    run = _unpacked(job).run_directory
    for label in job.inputs:
        if label.startswith((f"{labels.WORK_CHUNK}-", f"{labels.LOG_CHUNK}-")):
            job.unpack(label, run)
    processes = int(json.loads((run / WORK / PROCESSES).read_text()))
    _reported(job, run, lambda: job.kernel().losses_output(_losses_job(job, processes=processes)))


def whole(job: StepJob) -> None:
    """V1: all of the losses."""
    losses = _watched(job, _losses_job(job))
    job.unpack(labels.INPUT, losses.run_directory / INPUTS)
    if losses.settings is None:
        message = "The analysis has no settings. Post them, then run it."
        raise ExposureRefused(message)
    _reported(job, losses.run_directory, lambda: job.kernel().losses(losses))


def cleanup(job: StepJob) -> None:
    """L6: nothing is left to do, as after the inputs."""
    shutil.rmtree(job.work, ignore_errors=True)


def _work_of_chunk(run: Path, *, number: int) -> Path:
    """Return the folder that the reports are made from; one process of several has written to a folder of its own."""
    work, own = run / WORK, run / f"{number}.{WORK}"
    if own.is_dir():
        shutil.rmtree(work, ignore_errors=True)
        own.rename(work)
    work.mkdir(exist_ok=True)
    return work


def _reported(job: StepJob, run: Path, make: Callable[[], None]) -> None:
    try:
        make()
    finally:
        if (run / "log").is_dir():
            job.outputs[labels.RUN_LOG] = archives.pack(run / "log", job.out / "logs.tar.gz")
    if not any((run / "output").glob("*")):
        message = "The kernel ended without any output."
        raise KernelError(message)
    _require_tables(run)
    job.outputs[labels.OUTPUT] = archives.pack(run, job.out / "output.tar.gz", members=["output"])
    add_occurrences(job, run)


def _require_tables(run: Path) -> None:
    """See that every table is there that the kernel's run scripts write, whatever has become of the tool.

    Raises:
        KernelError: one is missing.
    """
    table = re.compile(TABLE.format(run=re.escape(str(run.absolute()))))
    named = {name for script in run.glob("run_*.sh") for name in table.findall(script.read_text())}
    if missing := sorted(name for name in named if not (run / name).exists()):
        message = f"The kernel has not written {', '.join(missing)}: a tool of it ended before it began."
        raise KernelError(message)


def _losses_job(job: StepJob, *, processes: int | None = None) -> LossesJob:
    run = job.work / "run"
    run.mkdir(parents=True, exist_ok=True)
    return LossesJob(
        run_directory=run,
        settings=job.inputs.get(labels.SETTINGS),
        user_data=job.user_data(),
        processes=processes or job.processes,
    )


def _watched(job: StepJob, losses: LossesJob) -> LossesJob:
    """Have the events counted that the kernel works through."""
    return replace(losses, progress=progress.listen(job.directory, index=job.index, count=job.count))


def _unpacked(job: StepJob) -> LossesJob:
    """Unpack the run directory, with the links to this host's copy of the model's data."""
    losses = _losses_job(job)
    job.unpack(labels.RUN_DIRECTORY, losses.run_directory)
    archives.restore_links(losses.run_directory, data=job.kernel().model_data)
    return losses
