"""Input generation: keys looked up, files written for the kernel (wire contract, section 4.2, G1 to G7)."""

import csv
import json
import shutil
from pathlib import Path
from typing import Final

from qanat.contract import formats, labels
from qanat.worker import archives
from qanat.worker.kernel import oed_files
from qanat.worker.kernel.port import ExposureRefused, InputsJob, KernelError, NoKeys
from qanat.worker.steps.base import StepJob

KEYS: Final = "keys.csv"
ERRORS: Final = "keys-errors.csv"
SUMMARY: Final = "summary.json"
REPORTS: Final = {
    labels.LOOKUP_ERRORS: ERRORS,
    labels.LOOKUP_SUCCESS: "gul_summary_map.csv",
    labels.LOOKUP_VALIDATION: "exposure_summary_report.json",
    labels.SUMMARY_LEVELS: "exposure_summary_levels.json",
}
EXPOSURE: Final = (labels.LOCATION, labels.ACCOUNTS, labels.REINSURANCE_INFO, labels.REINSURANCE_SCOPE)


def prepare_params(job: StepJob) -> None:
    """G1: see early, and without the kernel, what would fail late."""
    _check_inputs(job)


def pre_analysis(job: StepJob) -> None:
    """G2: run the model's hook, if it has one; share the locations out where several chunks look them up."""
    if (prepared := _prepare(job)) is not None:
        job.outputs[labels.PREPARED_EXPOSURE] = archives.pack(prepared, job.out / "prepared_exposure.tar")
    slices = {label: job.out / f"{label}.parquet" for label in job.writes if label.startswith(labels.EXPOSURE_SLICE)}
    if slices:
        job.out.mkdir(parents=True, exist_ok=True)
        inputs = _inputs_job(job, job.work / "input", prepared=prepared)
        job.kernel().slice_exposure(inputs, targets=list(slices.values()))
        job.outputs.update(slices)


def keys_chunk(job: StepJob) -> None:
    """G3: look up the keys of one slice of the locations."""
    folder = job.work / "keys"
    own = job.inputs.get(labels.chunk(labels.EXPOSURE_SLICE, job.index))
    job.facts["locations"] = _look_up(job, folder, locations=own)
    job.outputs[labels.chunk(labels.KEYS_CHUNK, job.index)] = archives.pack(folder, job.out / "keys.tar")


def collect_keys(job: StepJob) -> None:
    """G4: put the slices together again; every location must have come back, with keys or with a reason.

    Raises:
        KernelError: the lookup lost locations.
        NoKeys: no location has a key.
    """
    count = len(job.inputs)
    folders = [job.unpack(labels.chunk(labels.KEYS_CHUNK, index), job.work / f"keys-{index}") for index in range(count)]
    whole = job.work / "keys"
    whole.mkdir(parents=True)
    for name in (KEYS, ERRORS):
        _concatenate([folder / name for folder in folders], whole / name)
    job.facts["locations"] = sum(json.loads((folder / SUMMARY).read_text())["locations"] for folder in folders)
    _require_all(job, whole)
    job.outputs[labels.KEYS] = archives.pack(whole, job.out / "keys_data.tar")


def write_files(job: StepJob) -> None:
    """G5: write the kernel's input files and the reports on the exposure."""
    _write(job, keys=job.unpack(labels.KEYS, job.work / "keys"))


def whole(job: StepJob) -> None:
    """V1: all of input generation, as V2 does it in one chunk.

    Raises:
        KernelError: the lookup lost locations.
        NoKeys: no location has a key.
    """
    _check_inputs(job)
    prepared, folder = _prepare(job), job.work / "keys"
    job.facts["locations"] = _look_up(job, folder, prepared=prepared)
    _require_all(job, folder)
    _write(job, keys=folder, prepared=prepared)


def _prepare(job: StepJob) -> Path | None:
    """Run the model's hook, if it has one; return the folder with the exposure as it left it."""
    if "exposure_pre_analysis_module" not in job.model.config:
        return None
    target = job.work / "prepared-by-hook"
    job.kernel().pre_analysis(_inputs_job(job, job.work / "input"), target=target)
    return target


def _look_up(job: StepJob, folder: Path, *, locations: Path | None = None, prepared: Path | None = None) -> int:
    """Look up the keys of a slice, or of all locations, into a folder; return their number."""
    folder.mkdir(parents=True)
    inputs = _inputs_job(job, job.work / "input", prepared=prepared)
    keys, errors = folder / KEYS, folder / ERRORS
    number = job.kernel().keys(inputs, keys=keys, errors=errors, locations=locations)
    (folder / SUMMARY).write_text(json.dumps({"locations": number}))
    return number


def _require_all(job: StepJob, folder: Path) -> None:
    """Give the keys' errors, and refuse keys that do not account for every location."""
    locations = job.facts["locations"]
    keys, errors = _location_ids(folder / KEYS), _location_ids(folder / ERRORS)
    job.facts.update(keys=len(keys), keys_errors=len(errors - keys))
    job.give(labels.LOOKUP_ERRORS, folder / ERRORS)
    if len(keys | errors) != locations:
        message = (
            f"The model's lookup returned {len(keys | errors)} of {locations} locations, neither keys nor a reason for "
            "the rest: ask the model's vendor."
        )
        raise KernelError(message)
    if not keys:
        message = f"None of the {locations} locations has a key: the model covers none of them; see the keys errors."
        raise NoKeys(message)


def _write(job: StepJob, *, keys: Path, prepared: Path | None = None) -> None:
    inputs = _inputs_job(job, job.work / "input", prepared=prepared)
    try:
        job.kernel().write_inputs(inputs, keys=keys / KEYS, errors=keys / ERRORS)
    finally:
        _give_inputs(job, inputs.directory)


def cleanup(job: StepJob) -> None:
    """G7: nothing is left to do: an attempt's directory goes with the attempt, and the server cleans up storage."""
    shutil.rmtree(job.work, ignore_errors=True)


def _give_inputs(job: StepJob, directory: Path) -> None:
    """Give the archive and the reports, complete or not: of a failed step, what there is helps to see why."""
    if directory.is_dir() and any(directory.iterdir()):
        settings = job.inputs.get(labels.SETTINGS)
        if settings is not None and not (directory / "analysis_settings.json").exists():
            shutil.copyfile(settings, directory / "analysis_settings.json")
        job.outputs[labels.INPUT] = archives.pack(directory, job.out / "inputs.tar.gz")
    for label, name in REPORTS.items():
        job.give(label, directory / name)


def _inputs_job(job: StepJob, directory: Path, *, prepared: Path | None = None) -> InputsJob:
    directory.mkdir(parents=True, exist_ok=True)
    if labels.PREPARED_EXPOSURE in job.inputs:
        prepared = job.unpack(labels.PREPARED_EXPOSURE, job.work / "prepared")
    return InputsJob(
        directory=directory,
        exposure={label: job.inputs[label] for label in EXPOSURE if label in job.inputs},
        prepared=prepared,
        settings=job.inputs.get(labels.SETTINGS),
        currency=job.inputs.get(labels.CURRENCY),
        reporting_currency=job.parameters.get("reporting_currency"),
        user_data=job.user_data(),
    )


def _check_inputs(job: StepJob) -> None:
    """Refuse what the kernel would stumble over.

    Raises:
        ExposureRefused: a file is plainly not what its name says.
    """
    job.read_json(labels.SETTINGS)
    job.read_json(labels.CURRENCY)
    for label in EXPOSURE:
        path = job.inputs.get(label)
        if path is not None:
            _check_readable(label, path)


def _check_readable(label: str, path: Path) -> None:
    """Refuse a file that is plainly not what its name says.

    Raises:
        ExposureRefused: it is empty, no parquet although it is called so, or packed beyond what a table can be.
    """
    what = label.removesuffix("_file").replace("_", " ")
    with path.open("rb") as stream:
        head = stream.read(4)
    if not head:
        message = f"The {what} file is empty. Upload one with a header and at least one row."
        raise ExposureRefused(message)
    if path.suffix == ".parquet" and head != formats.PARQUET:
        message = f"The {what} file was uploaded as parquet but is none. Upload it with the type that it has."
        raise ExposureRefused(message)
    try:
        oed_files.require_bounded(path)
    except oed_files.NotPlain as refused:
        message = f"The {what} file: {refused}"
        raise ExposureRefused(message) from refused


def _concatenate(parts: list[Path], target: Path) -> None:
    """Join CSV files, by name of column where their headers differ; parts may be missing or empty."""
    headers = {part: header for part in parts if part.is_file() and (header := _header(part))}
    if len({tuple(header) for header in headers.values()}) > 1:
        _join_by_column(headers, target)
        return
    with target.open("wb") as joined:
        for number, part in enumerate(headers):
            with part.open("rb") as stream:
                first = stream.readline()
                if number == 0:
                    joined.write(first)
                shutil.copyfileobj(stream, joined)


def _join_by_column(headers: dict[Path, list[str]], target: Path) -> None:
    columns = list(dict.fromkeys(column for header in headers.values() for column in header))
    with target.open("w", newline="", encoding="utf-8") as joined:
        writer = csv.DictWriter(joined, columns, restval="", lineterminator="\n")
        writer.writeheader()
        for part in headers:
            with part.open(newline="", encoding="utf-8") as stream:
                writer.writerows(csv.DictReader(stream))


def _header(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as stream:
        return next(csv.reader(stream), [])


def _location_ids(path: Path) -> set[str]:
    """Return the distinct location ids in a keys file, whose first column they are."""
    if not path.is_file():
        return set()
    with path.open(newline="", encoding="utf-8") as stream:
        rows = csv.reader(stream)
        next(rows, None)
        return {row[0] for row in rows if row}
