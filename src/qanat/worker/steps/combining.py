"""Combining the losses of analyses, and what it needs of each: the occurrences of its events."""

from pathlib import Path
from typing import Final

from qanat.contract import labels
from qanat.worker import archives
from qanat.worker.kernel.port import INPUTS, ExposureRefused
from qanat.worker.steps.base import StepJob

OCCURRENCES: Final = "occurrence.bin"


def combine(job: StepJob) -> None:
    """Combine the archives of analyses, which are numbered in the order in which they were asked for.

    Raises:
        ExposureRefused: an archive is damaged or lacks the occurrences, or they do not fit together.
    """
    from qanat.worker.kernel.combining import combine_losses  # noqa: PLC0415 - seconds of imports

    numbers = sorted({int(label.split("/")[1]) for label in job.inputs if label.startswith(labels.COMBINED_PREFIX)})
    analyses = [_unpacked(job, number) for number in numbers]
    result = job.work / "combined"
    combine_losses(analyses=analyses, config=job.parameters["combine"], result=result)
    job.outputs[labels.OUTPUT] = archives.pack(result, job.out / "outputs.tar.gz")


def add_occurrences(job: StepJob, run_directory: Path) -> None:
    """Give the input archive with the occurrences of the events beside the inputs.

    They are the model's and depend on the settings of the losses, so that input generation cannot know them.
    """
    occurrences = run_directory / INPUTS / OCCURRENCES
    if labels.INPUT not in job.inputs or not occurrences.is_file():
        return
    whole = job.out / "inputs.tar.gz"
    archives.repack(job.inputs[labels.INPUT], whole, instead={OCCURRENCES: occurrences})
    job.outputs[labels.INPUT] = whole


def _unpacked(job: StepJob, number: int) -> Path:
    """Unpack the archives of an analysis as ods-tools looks for them."""
    folder = job.work / f"analysis-{number}"
    prefix = f"{labels.COMBINED_PREFIX}{number}/"
    job.unpack(f"{prefix}{labels.INPUT}", folder / "input")
    # Its members lie under output/ already.
    job.unpack(f"{prefix}{labels.OUTPUT}", folder)
    if not (folder / "input" / OCCURRENCES).is_file():
        message = (
            f"The inputs of the analysis at place {number + 1} of analysis_ids lack {OCCURRENCES}: run its losses "
            "again, then combine."
        )
        raise ExposureRefused(message)
    return folder
