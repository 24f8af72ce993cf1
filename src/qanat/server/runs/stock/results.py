"""What a stock worker returns of a step, read (wire contract, sections 4.2 and 4.5)."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from qanat.contract import labels, tasks
from qanat.contract.statuses import RunMode
from qanat.server.runs.models import Step
from qanat.server.runs.projection import FileRef
from qanat.server.runs.stock.references import ReferenceRefused, take, theirs

RETURN_CODE: Final = "return code"
LISTS: Final = {
    tasks.GENERATE_INPUT: (
        labels.INPUT,
        labels.LOOKUP_ERRORS,
        labels.LOOKUP_SUCCESS,
        labels.LOOKUP_VALIDATION,
        labels.SUMMARY_LEVELS,
        labels.INPUT_TRACEBACK,
        RETURN_CODE,
        labels.SETTINGS,
    ),
    tasks.RUN_ANALYSIS: (labels.OUTPUT, labels.RUN_TRACEBACK, labels.RUN_LOG, RETURN_CODE),
}
"""V1: what each place of the list stands for; the settings may be left out."""
LOG: Final = "log_location"
"""V2: the log of a sub-task, in the parameters that it hands on."""
PARAMETERS: Final = {
    tasks.WRITE_INPUT_FILES: {
        "output_location": labels.INPUT,
        "lookup_error_location": labels.LOOKUP_ERRORS,
        "lookup_success_location": labels.LOOKUP_SUCCESS,
        "lookup_validation_location": labels.LOOKUP_VALIDATION,
        "summary_levels_location": labels.SUMMARY_LEVELS,
    },
    tasks.GENERATE_LOSSES_OUTPUT: {"output_location": labels.OUTPUT, "run_logs": labels.RUN_LOG},
}
"""V2: which of those parameters are results of the phase."""
NEEDED: Final = {
    tasks.GENERATE_INPUT: labels.INPUT,
    tasks.WRITE_INPUT_FILES: labels.INPUT,
    tasks.RUN_ANALYSIS: labels.OUTPUT,
    tasks.GENERATE_LOSSES_OUTPUT: labels.OUTPUT,
}
"""Without which there is no result."""
MOST_PARAMETERS_BYTES: Final = 2**20


class ResultRefused(Exception):
    """The result is not what a stock worker returns of this step; the message says what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of a step."""

    outputs: Mapping[str, FileRef]
    facts: Mapping[str, Any] = field(default_factory=dict)
    log: FileRef | None = None
    failed: bool = False
    originals: list[str] = field(default_factory=list)
    """Keys of the worker's own objects, which somebody must remove."""


def read(step: Step, result: object) -> Answer:
    """Read the result of a step; the files that it names become the attempt's own.

    Raises:
        ResultRefused: it is not of the form of the contract, or names files that are not its own.
    """
    try:
        answer = _sub_task(step, result) if step.run.mode == RunMode.V2 else _whole(step, result)
    except ReferenceRefused as refused:
        raise ResultRefused(str(refused)) from refused
    needed = NEEDED.get(step.task)
    if needed and not answer.failed and needed not in answer.outputs:
        message = f"The worker says that '{step.slug}' is done, but its result has no {needed}."
        raise ResultRefused(message)
    return answer


def named_in(step: Step, result: object) -> list[str]:
    """Return the keys of the worker's own objects that a result names, whatever else is wrong with it."""
    values = result if isinstance(result, list) else []
    if isinstance(result, dict):
        values = [result.get(name) for name in (*PARAMETERS.get(step.task, ()), LOG)]
    keys: list[str] = []
    for value in values:
        with suppress(ReferenceRefused):
            keys.append(theirs(value)[0])
    return keys


def _whole(step: Step, result: object) -> Answer:
    places = LISTS[step.task]
    required = places.index(RETURN_CODE) + 1
    if not isinstance(result, list) or not required <= len(result) <= len(places):
        message = f"The worker's result of '{step.slug}' is no list of {required} to {len(places)} places."
        raise ResultRefused(message)
    named = dict(zip(places, result, strict=False))
    code = named.pop(RETURN_CODE)
    outputs, originals = _files(step, named)
    return Answer(outputs=outputs, originals=originals, failed=code != 0)


def _sub_task(step: Step, result: object) -> Answer:
    if not isinstance(result, dict):
        message = f"The worker's result of '{step.slug}' is no dictionary of parameters."
        raise ResultRefused(message)
    _require_storable(step, result)
    named = {label: result.get(name) for name, label in PARAMETERS.get(step.task, {}).items()}
    outputs, originals = _files(step, {**named, labels.STEP_LOG: result.get(LOG)})
    log = outputs.pop(labels.STEP_LOG, None)
    return Answer(outputs=outputs, facts={"params": result}, log=log, originals=originals)


def _require_storable(step: Step, parameters: Mapping[str, Any]) -> None:
    try:
        # Databases refuse NaNs, halves of characters and NULs in JSON, of which Python thinks nothing.
        text = json.dumps(parameters, allow_nan=False, ensure_ascii=False).encode()
    except ValueError as error:
        message = f"The parameters that '{step.slug}' hands on are no JSON: {error}."
        raise ResultRefused(message) from error
    if len(text) > MOST_PARAMETERS_BYTES or rb"\u0000" in text:
        message = f"The parameters that '{step.slug}' hands on are too long, or have NULs in them."
        raise ResultRefused(message)


def _files(step: Step, named: Mapping[str, object]) -> tuple[dict[str, FileRef], list[str]]:
    outputs: dict[str, FileRef] = {}
    originals: list[str] = []
    for label, reference in named.items():
        if reference:
            original, outputs[label] = take(reference, step=step)
            originals.append(original)
    return outputs, originals
