"""Generation of inputs in sub-tasks (wire contract, section 4.2, G1 to G7)."""

import csv
import json
from pathlib import Path
from typing import Any, Final

from qanat.contract import labels
from qanat.worker import archives
from qanat.worker.errors import InputRejected, ModelFailed
from qanat.worker.kernel.port import Exposure
from qanat.worker.steps import keys as key_files
from qanat.worker.steps.workbench import CSV, EXPOSURE_PARAMETERS, JSON, Workbench

KEYS: Final = "keys.csv"
KEYS_ERRORS: Final = "keys-errors.csv"
SLICE_FACTS: Final = "slice.json"

NO_KEYS: Final = (
    "None of the {locations} locations found a key: the model does not cover them. The keys errors list the reasons."
)

_REPORTS: Final = (
    (labels.LOOKUP_ERRORS, KEYS_ERRORS, CSV),
    (labels.LOOKUP_SUCCESS, "gul_summary_map.csv", CSV),
    (labels.LOOKUP_VALIDATION, "exposure_summary_report.json", JSON),
    (labels.SUMMARY_LEVELS, "exposure_summary_levels.json", JSON),
    (labels.SETTINGS, "analysis_settings.json", JSON),
)


def check_parameters(bench: Workbench) -> dict[str, Any]:
    """G1: find early and cheaply what would fail later: no exposure, unreadable files, broken settings."""
    bench.exposure()
    bench.settings(required=False)
    for label in EXPOSURE_PARAMETERS:
        given = bench.job.inputs.get(label)
        if given is not None:
            _check_readable(given.path, given.filename)
    conversion = bench.job.given(labels.CURRENCY)
    if conversion is not None:
        _check_json(conversion, "The currency conversion")
    return {}


def pre_analysis(bench: Workbench) -> dict[str, Any]:
    """G2: run the model's own changes to the exposure; an empty archive where it makes none."""
    changed = bench.job.work / "prepared"
    changed.mkdir()
    # A look into the configuration file first: most models have no hook, and the kernel takes seconds to import.
    if "exposure_pre_analysis_module" in bench.model.config():
        try:
            bench.kernel.pre_analysis(
                exposure=bench.exposure(),
                settings=bench.settings(required=False),
                user_data=bench.job.user_data,
                into=changed,
            )
        except BaseException:
            _save_partial(bench, changed)
            raise
    bench.hand_on_archive(
        labels.PREPARED_EXPOSURE, archives.everything_in(changed), filename="prepared-exposure.tar.gz"
    )
    return {}


def keys_chunk(bench: Workbench) -> dict[str, Any]:
    """G3: look up one slice of the locations."""
    folder = bench.job.work / "keys"
    folder.mkdir()
    written = bench.kernel.keys_of_slice(
        exposure=prepared_exposure(bench),
        settings=bench.settings(required=False),
        user_data=bench.job.user_data,
        index=bench.job.index,
        count=bench.job.count,
        into=folder,
    )
    counts = key_files.count(keys=written.keys, errors=written.errors, location_ids=written.location_ids)
    facts = bench.job.work / SLICE_FACTS
    slice_of = {"index": bench.job.index, "count": bench.job.count}
    facts.write_text(json.dumps({**slice_of, "location_ids": sorted(written.location_ids)}), encoding="utf-8")
    bench.hand_on_archive(
        labels.chunk(labels.KEYS_CHUNK, bench.job.index),
        [(KEYS, written.keys), (KEYS_ERRORS, written.errors), (SLICE_FACTS, facts)],
        filename=f"lookup-{bench.job.index + 1}.tar.gz",
    )
    return counts.facts()


def collect_keys(bench: Workbench) -> dict[str, Any]:
    """G4: put the keys of all slices together in the order of the locations."""
    prefix = f"{labels.KEYS_CHUNK}-"
    numbers = sorted(int(label.removeprefix(prefix)) for label in bench.job.inputs if label.startswith(prefix))
    if not numbers or numbers != list(range(len(numbers))):
        message = f"The keys of some slices are missing: got {numbers}. Generate the inputs again."
        raise ModelFailed(message)
    folders = []
    location_ids: set[int] = set()
    total = 0
    for number in numbers:
        folder = bench.job.work / f"slice-{number}"
        archives.unpack(bench.job.inputs[labels.chunk(labels.KEYS_CHUNK, number)].path, folder)
        facts = json.loads((folder / SLICE_FACTS).read_text(encoding="utf-8"))
        if (facts["index"], facts["count"]) != (number, len(numbers)):
            message = f"Slice {number} of {len(numbers)} was made as {facts['index']} of {facts['count']}."
            raise ModelFailed(message)
        location_ids |= set(facts["location_ids"])
        total += len(facts["location_ids"])
        folders.append(folder)
    if total != len(location_ids):
        message = f"The slices of the locations overlap: {total} locations in the slices, {len(location_ids)} different ones."
        raise ModelFailed(message)
    keys, errors = bench.job.work / KEYS, bench.job.work / KEYS_ERRORS
    key_files.concatenate((folder / KEYS for folder in folders), keys)
    key_files.concatenate((folder / KEYS_ERRORS for folder in folders), errors)
    counts = key_files.count(keys=keys, errors=errors, location_ids=frozenset(location_ids))
    if counts.with_keys == 0:
        bench.hand_on(labels.LOOKUP_ERRORS, errors, filename=KEYS_ERRORS, content_type=CSV)
        raise InputRejected(NO_KEYS.format(locations=counts.locations), no_keys=True)
    bench.hand_on_archive(labels.KEYS, [(KEYS, keys), (KEYS_ERRORS, errors)], filename="keys-data.tar.gz")
    return counts.facts()


def write_input_files(bench: Workbench) -> dict[str, Any]:
    """G5: write the kernel's input files from the exposure and the keys."""
    archive = bench.job.given(labels.KEYS)
    if archive is None:
        message = "The keys of the locations are missing. Generate the inputs again."
        raise ModelFailed(message)
    folder = bench.job.work / "keys"
    archives.unpack(archive, folder)
    return write_inputs(bench, exposure=prepared_exposure(bench), keys=(folder / KEYS, folder / KEYS_ERRORS))


def nothing(bench: Workbench) -> dict[str, Any]:
    """G7, L6: nothing is left to clean up here; every attempt removes its own directory, the server its own objects."""
    del bench
    return {}


def write_inputs(bench: Workbench, *, exposure: Exposure, keys: tuple[Path, Path] | None) -> dict[str, Any]:
    """Write all input files, looking up the keys as well where there are none, and hand them on.

    On failure what is there already is handed on, so that its owner can see what went wrong.
    """
    into = bench.job.work / "input"
    into.mkdir()
    settings = bench.settings(required=False)
    try:
        location_ids = bench.kernel.write_inputs(
            exposure=exposure, settings=settings, user_data=bench.job.user_data, keys=keys, into=into
        )
        counts = key_files.count(keys=into / KEYS, errors=into / KEYS_ERRORS, location_ids=location_ids)
    except BaseException:
        _save_partial(bench, into)
        raise
    if settings is not None:
        (into / "analysis_settings.json").write_bytes(settings.read_bytes())
    bench.hand_on_archive(labels.INPUT, archives.everything_in(into), filename=_name(bench, "inputs.tar.gz"))
    for label, name, content_type in _REPORTS:
        if (into / name).is_file():
            bench.hand_on(label, into / name, filename=_name(bench, name), content_type=content_type)
    bench.hand_on_log(labels.INPUT_TRACEBACK, filename=_name(bench, "generation_traceback.txt"))
    return counts.facts()


def prepared_exposure(bench: Workbench) -> Exposure:
    """Return the portfolio as the model's pre-analysis hook left it, or as it is where there is no hook."""
    exposure = bench.exposure()
    archive = bench.job.given(labels.PREPARED_EXPOSURE)
    if archive is None:
        return exposure
    folder = bench.job.work / "prepared"
    if not archives.unpack(archive, folder):
        return exposure
    return Exposure(
        files=exposure.files,
        prepared=folder,
        reporting_currency=exposure.reporting_currency,
        currency_conversion=exposure.currency_conversion,
    )


def _save_partial(bench: Workbench, directory: Path) -> None:
    members = list(archives.everything_in(directory))
    if members:
        bench.hand_on_archive(labels.INPUT, members, filename=_name(bench, "inputs.tar.gz"))
    if (directory / KEYS_ERRORS).is_file():
        bench.hand_on(labels.LOOKUP_ERRORS, directory / KEYS_ERRORS, filename=KEYS_ERRORS, content_type=CSV)


def _check_readable(path: Path, filename: str) -> None:
    """Refuse, from its first bytes, a file that is not what its name says."""
    if path.suffix.lower() == ".parquet":
        with path.open("rb") as file:
            begin = file.read(4)
            file.seek(max(0, path.stat().st_size - 4))
            end = file.read(4)
        if begin != b"PAR1" or end != b"PAR1":
            message = f"'{filename}' is not a Parquet file, or is cut off. Upload it again."
            raise InputRejected(message)
    elif path.suffix.lower() == ".csv":
        with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
            try:
                header = next(csv.reader(file), [])
                first = next(csv.reader(file), None)
            except csv.Error as error:
                message = f"'{filename}' cannot be read as CSV: {error}."
                raise InputRejected(message) from error
        if not any(name.strip() for name in header):
            message = f"'{filename}' has no header row. The first row must name the OED fields."
            raise InputRejected(message)
        if first is None:
            message = f"'{filename}' has a header but no rows."
            raise InputRejected(message)


def _check_json(path: Path, what: str) -> None:
    try:
        json.loads(path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        message = f"{what} is not valid JSON: {error}."
        raise InputRejected(message) from error


def _name(bench: Workbench, name: str) -> str:
    return f"analysis_{bench.job.analysis_id}_{name}"
