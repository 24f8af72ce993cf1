"""Tasks on a portfolio's exposure, which need no model: validation, exposure run, transform."""

import json
from pathlib import Path
from typing import Final

from qanat.contract import labels
from qanat.worker.kernel import oed_files
from qanat.worker.kernel.port import ExposureRefused
from qanat.worker.steps.base import StepJob

FILES: Final = (labels.LOCATION, labels.ACCOUNTS, labels.REINSURANCE_INFO, labels.REINSURANCE_SCOPE)


def validate(job: StepJob) -> None:
    """Say what is wrong with the OED files; that something is, is a result and no failure."""
    from qanat.worker.kernel.validation import validate as check  # noqa: PLC0415 - seconds of imports

    report = check(_given(job), work=_folder(job.work / "unpacked"))
    job.facts.update(valid=not report.findings, errors=len(report.findings) + report.more)
    document = _folder(job.out) / "validation.json"
    document.write_text(json.dumps(report.as_json(), indent=1))
    job.give(labels.VALIDATION_REPORT, document)
    if report.findings:
        text = job.out / "errors.txt"
        text.write_text(report.as_text())
        job.give(labels.ERRORS, text)


def run(job: StepJob) -> None:
    """Compute the losses of given loss factors through the portfolio's own terms.

    Raises:
        ExposureRefused: a file cannot be read, or the kernel finds fault with it.
    """
    from qanat.worker.kernel.exposure_run import ExposureRunJob, run_exposure  # noqa: PLC0415 - as above

    result = _folder(job.out) / "exposure_run.csv"
    run_exposure(
        ExposureRunJob(
            exposure=_plain(job),
            currency=job.inputs.get(labels.CURRENCY),
            reporting_currency=job.parameters.get("reporting_currency"),
            parameters=job.parameters["exposure_run"],
            directory=_folder(job.work / "run"),
            result=result,
        )
    )
    job.give(labels.EXPOSURE_RUN, result)


def transform(job: StepJob) -> None:
    """Make an OED file from one in another format.

    Raises:
        ExposureRefused: the file or the mapping cannot be read, or does not fit the other.
    """
    from qanat.worker.kernel.transform import transform_exposure  # noqa: PLC0415 - as above

    source = _require_plain("transform_file", job.inputs[labels.TRANSFORM_SOURCE], work=_folder(job.work / "unpacked"))
    result = _folder(job.out) / "transformed.csv"
    rows = transform_exposure(source=source, mapping=job.inputs[labels.TRANSFORM_MAPPING], result=result)
    job.facts["rows"] = rows
    job.give(labels.TRANSFORMED, result)


def _given(job: StepJob) -> dict[str, Path]:
    return {label: job.inputs[label] for label in FILES if label in job.inputs}


def _plain(job: StepJob) -> dict[str, Path]:
    work = _folder(job.work / "unpacked")
    return {label: _require_plain(label, path, work=work) for label, path in _given(job).items()}


def _require_plain(label: str, path: Path, *, work: Path) -> Path:
    """Return a file unpacked.

    Raises:
        ExposureRefused: it is no table with rows.
    """
    looked = oed_files.look_at(label, path, work=work)
    if looked.findings:
        raise ExposureRefused("\n".join(finding.as_text() for finding in looked.findings))
    return looked.path


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
