"""Losses in sub-tasks (wire contract, section 4.2, L1 to L6)."""

import json
import shutil
from pathlib import Path
from typing import Any, Final

from qanat.contract import labels
from qanat.worker import archives
from qanat.worker.errors import InputRejected, ModelFailed
from qanat.worker.kernel.port import LossChunk
from qanat.worker.steps import run_directory
from qanat.worker.steps.workbench import OUTPUT_PERSPECTIVES, Workbench, check_settings

CHUNK_FACTS: Final = "chunk.json"


def check_parameters(bench: Workbench) -> dict[str, Any]:
    """L1: find early and cheaply what would fail later: no inputs, no outputs asked for, broken settings."""
    path = bench.settings(required=True)
    settings = check_settings(path) if path is not None else {}
    inputs(bench)
    if not any(settings.get(perspective) for perspective in OUTPUT_PERSPECTIVES):
        message = (
            "The analysis settings ask for no output: set at least one of 'gul_output', 'il_output' and 'ri_output' "
            "to true."
        )
        raise InputRejected(message)
    return {}


def prepare_directory(bench: Workbench) -> dict[str, Any]:
    """L2: make the kernel's run directory, once for all chunks."""
    run = bench.job.work / "run"
    run.mkdir()
    bench.kernel.prepare_run(
        inputs=unpacked_inputs(bench), settings=required_settings(bench), user_data=bench.job.user_data, run=run
    )
    archive = bench.job.out / "run_directory.tar.gz"
    run_directory.pack(run, archive, model_data=bench.model.data_directory(), scratch=bench.job.work)
    bench.hand_on(labels.RUN_DIRECTORY, archive, filename=archive.name, content_type="application/gzip")
    return {}


def loss_chunk(bench: Workbench) -> dict[str, Any]:
    """L3: compute the losses of one part of the events; a single chunk uses all cores."""
    run = _restored_run(bench)
    prepared = {path for path in (run / "output").rglob("*") if path.is_file()}
    index = bench.job.index
    chunk = LossChunk(number=None, of=processes(bench)) if bench.job.count == 1 else (
        LossChunk(number=index + 1, of=bench.job.count)
    )
    log = run / "log"
    try:
        bench.kernel.losses_of_chunk(run=run, chunk=chunk)
    finally:
        bench.hand_on_archive(
            labels.chunk(labels.LOG_CHUNK, index), archives.everything_in(log), filename=f"log-{index + 1}.tar.gz"
        )
    work = run / ("work" if chunk.number is None else f"{chunk.number}.work")
    facts = bench.job.work / CHUNK_FACTS
    facts.write_text(json.dumps({"processes": chunk.of}), encoding="utf-8")
    results = [
        (name, path) for name, path in archives.everything_in(run / "output", below="output") if path not in prepared
    ]
    bench.hand_on_archive(
        labels.chunk(labels.WORK_CHUNK, index),
        [(CHUNK_FACTS, facts), *archives.everything_in(work, below="work"), *results],
        filename=f"work-{index + 1}.tar.gz",
    )
    return {}


def output(bench: Workbench) -> dict[str, Any]:
    """L4: put the parts together and write the results."""
    run = _restored_run(bench)
    numbers = _chunk_numbers(bench)
    of: set[int] = set()
    for number in numbers:
        part = bench.job.work / f"part-{number}"
        archives.unpack(bench.job.inputs[labels.chunk(labels.WORK_CHUNK, number)].path, part)
        of.add(int(json.loads((part / CHUNK_FACTS).read_text(encoding="utf-8"))["processes"]))
        for folder in ("work", "output"):
            if (part / folder).is_dir():
                _merge(part / folder, run / folder)
        shutil.rmtree(part)
        log = bench.job.given(labels.chunk(labels.LOG_CHUNK, number))
        if log is not None:
            archives.unpack(log, run / "log")
    if len(of) != 1:
        message = f"The loss chunks were computed as parts of different wholes: {sorted(of)}. Run the analysis again."
        raise ModelFailed(message)
    try:
        bench.kernel.losses_output(run=run, processes=of.pop(), user_data=None)
    finally:
        hand_on_run_log(bench, run)
    hand_on_results(bench, run)
    return {}


def inputs(bench: Workbench) -> Path:
    """Return the archive of the inputs.

    Raises:
        InputRejected: the analysis has none.
    """
    archive = bench.job.given(labels.INPUT)
    if archive is None:
        message = "The analysis has no input files. Generate the inputs and run it again."
        raise InputRejected(message)
    return archive


def unpacked_inputs(bench: Workbench) -> Path:
    """Unpack the inputs and return their directory.

    Raises:
        InputRejected: the archive is damaged or holds what an input archive does not hold.
    """
    folder = bench.job.work / "input"
    try:
        archives.unpack(inputs(bench), folder)
    except archives.ArchiveRefused as error:
        message = f"The input file of the analysis cannot be used: {error} Generate the inputs again."
        raise InputRejected(message) from error
    return folder


def required_settings(bench: Workbench) -> Path:
    """Return the analysis settings; raise InputRejected where there are none."""
    path = bench.settings(required=True)
    if path is None:  # pragma: no cover - settings() raises
        message = "The analysis has no settings."
        raise InputRejected(message)
    return path


def processes(bench: Workbench) -> int:
    """Return how many kernel processes the step may use: all cores, or fewer after it ran out of memory."""
    return max(1, int(bench.job.parameters.get("kernel_processes") or bench.job.cores))


def hand_on_run_log(bench: Workbench, run: Path) -> None:
    """Hand on the kernel's logs and the step's own."""
    name = f"analysis_{bench.job.analysis_id}_"
    (run / "log").mkdir(exist_ok=True)
    bench.hand_on_archive(labels.RUN_LOG, archives.everything_in(run / "log"), filename=f"{name}logs.tar.gz")
    bench.hand_on_log(labels.RUN_TRACEBACK, filename=f"{name}run_traceback.txt")


def hand_on_results(bench: Workbench, run: Path) -> None:
    """Hand on everything under ``output``.

    Raises:
        ModelFailed: there is nothing but the settings.
    """
    members = list(archives.everything_in(run / "output", below="output"))
    if not any(Path(name).name != "analysis_settings.json" and path.is_file() for name, path in members):
        message = "The kernel finished without an error but wrote no results."
        raise ModelFailed(message)
    bench.hand_on_archive(labels.OUTPUT, members, filename=f"analysis_{bench.job.analysis_id}_output.tar.gz")


def _restored_run(bench: Workbench) -> Path:
    archive = bench.job.given(labels.RUN_DIRECTORY)
    if archive is None:
        message = "The run directory made by an earlier step is missing. Run the analysis again."
        raise ModelFailed(message)
    run = bench.job.work / "run"
    run_directory.unpack(archive, run, model_data=bench.model.data_directory())
    return run


def _chunk_numbers(bench: Workbench) -> list[int]:
    prefix = f"{labels.WORK_CHUNK}-"
    numbers = sorted(int(label.removeprefix(prefix)) for label in bench.job.inputs if label.startswith(prefix))
    if numbers != list(range(bench.job.loss_chunks)):
        message = f"The work of some loss chunks is missing: got {numbers} of {bench.job.loss_chunks}. Run it again."
        raise ModelFailed(message)
    return numbers


def _merge(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
