"""What a stock worker is told of a step: task, arguments and links (wire contract, sections 4.2 and 4.5)."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from celery import signature
from celery.canvas import Signature

from qanat.contract import labels, queues, tasks
from qanat.contract.statuses import Phase, RunMode
from qanat.server.runs.models import Run, Step
from qanat.server.runs.projection import FileRef
from qanat.server.runs.steps import outputs_so_far
from qanat.server.runs.stock.references import reference_to
from qanat.server.runs.stock.tokens import token_of

OED: Final = (labels.LOCATION, labels.ACCOUNTS, labels.REINSURANCE_INFO, labels.REINSURANCE_SCOPE)
KEYWORDS: Final = {
    "loc_file": labels.LOCATION,
    "acc_file": labels.ACCOUNTS,
    "info_file": labels.REINSURANCE_INFO,
    "scope_file": labels.REINSURANCE_SCOPE,
    "analysis_settings_file": labels.SETTINGS,
    "currency_conversion_json": labels.CURRENCY,
    "input_location": labels.INPUT,
}
"""The files of V2's sub-tasks by the names of their arguments."""
LOOKUP: Final = ("loc_file", "analysis_settings_file", "currency_conversion_json")
EXPOSURE: Final = ("loc_file", "acc_file", "info_file", "scope_file", "analysis_settings_file")
LOSSES: Final = ("input_location", "analysis_settings_file")
FILES: Final = {
    tasks.PREPARE_INPUT_GENERATION_PARAMS: LOOKUP,
    tasks.PRE_ANALYSIS_HOOK: EXPOSURE,
    tasks.PREPARE_KEYS_FILE_CHUNK: LOOKUP,
    tasks.COLLECT_KEYS: LOOKUP,
    tasks.WRITE_INPUT_FILES: EXPOSURE,
    tasks.CLEANUP_INPUT_GENERATION: (),
    tasks.PREPARE_LOSSES_GENERATION_PARAMS: LOSSES,
    tasks.PREPARE_LOSSES_GENERATION_DIRECTORY: LOSSES,
    tasks.GENERATE_LOSSES_CHUNK: LOSSES,
    tasks.GENERATE_LOSSES_OUTPUT: LOSSES,
    tasks.CLEANUP_LOSSES_GENERATION: LOSSES,
}
CHUNKS: Final = {tasks.PREPARE_KEYS_FILE_CHUNK, tasks.GENERATE_LOSSES_CHUNK}
JOINS: Final = {tasks.COLLECT_KEYS, tasks.GENERATE_LOSSES_OUTPUT}
"""Bodies of chords: they get a list, also of a single chunk."""
FOLDERS: Final = {Phase.INPUTS: "files", Phase.LOSSES: "losses"}


def message_for(step: Step) -> dict[str, Any]:
    """Return what ``doorbell.send`` sends to have a stock worker do a step."""
    given = {label: FileRef.from_json(ref) for label, ref in step.run.inputs.items()}
    files = given | outputs_so_far(step.run, before_position=step.position)
    v2 = step.run.mode == RunMode.V2
    return {
        "queue": step.queue,
        "task": step.task,
        "task_id": step.celery_id,
        "priority": step.run.priority if v2 else None,
        "add_to_parent": False,
        **(_sub_task(step, files) if v2 else _whole(step, files)),
    }


def shared_folder(run: Run, phase: str) -> str:
    """Return the folder of storage in which stock workers leave things for one another."""
    return f"analysis-{run.analysis_id}_{FOLDERS[Phase(phase)]}-{run_data(run, phase)}"


def run_data(run: Run, phase: str) -> str:
    """Return what that folder is named after; a run that an older server has planned is named after itself."""
    planned: dict[str, str] = run.plan.get("run_data", {})
    return planned.get(phase) or f"{run.pk:032x}"


def _whole(step: Step, files: Mapping[str, FileRef]) -> dict[str, Any]:
    """V1: one task does a whole phase; what comes of it is linked to it."""
    named = _references(files)
    args: list[Any] = [step.run.analysis_id]
    if step.task == tasks.GENERATE_INPUT:
        args += [named.get(label) for label in (*OED, labels.SETTINGS)]
        args.append(_complex_data(files))
        currency = [named.get(labels.CURRENCY), step.run.parameters.get("reporting_currency")]
        args += currency if all(currency) else []
    else:
        args += [named.get(labels.INPUT), named.get(labels.SETTINGS), _complex_data(files)]
    token = token_of(step)
    # It runs in the worker, and hands the traceback on; where a worker has none, the second link tells of the failure.
    on_error = signature(
        tasks.ON_ERROR, args=(tasks.STOCK_TRACEBACK, token, step.run.initiator_id), options={"queue": step.queue}
    )
    return {
        "args": args,
        "link": [_ours(tasks.STOCK_DONE, token, queues.V1_RECORDS)],
        "link_error": [on_error, _ours(tasks.STOCK_FAILED, token, queues.V1_RECORDS)],
    }


def _sub_task(step: Step, files: Mapping[str, FileRef]) -> dict[str, Any]:
    """V2: a chain of two, for stock workers need something to follow in theirs."""
    named = _references(files)
    run = step.run
    args: list[Any] = [_parameters(step)]
    if step.task in CHUNKS:
        args += [step.index, step.count]
    wanted = FILES[step.task]
    kwargs: dict[str, Any] = {
        "initiator_id": run.initiator_id,
        "analysis_id": run.analysis_id,
        "slug": step.slug,
        "run_data_uuid": run_data(run, step.phase),
        **{keyword: named.get(KEYWORDS[keyword]) for keyword in wanted},
    }
    if wanted:
        kwargs["complex_data_files"] = _complex_data(files)
    if "currency_conversion_json" in wanted:
        kwargs["reporting_currency"] = run.parameters.get("reporting_currency")
    if step.task == tasks.PREPARE_LOSSES_GENERATION_PARAMS:
        kwargs["num_chunks"] = run.plan["loss_chunks"]
    token = token_of(step)
    return {
        "args": args,
        "kwargs": kwargs,
        "chain": [_ours(tasks.STOCK_DONE, token, queues.V2_RECORDS)],
        "link_error": [_ours(tasks.STOCK_FAILED, token, queues.V2_RECORDS)],
    }


def _ours(task: str, token: str, queue: str) -> Signature:
    # Celery looks for the id of what follows when a task in a chain fails.
    return signature(task, kwargs={"token": token}, options={"queue": queue, "task_id": uuid.uuid4().hex})


def _references(files: Mapping[str, FileRef]) -> dict[str, str]:
    return {label: reference_to(ref.key) for label, ref in files.items()}


def _complex_data(files: Mapping[str, FileRef]) -> list[dict[str, str]]:
    return [
        {
            "stored_filename": reference_to(ref.key),
            "original_filename": label.removeprefix(labels.COMPLEX_DATA_PREFIX),
        }
        for label, ref in sorted(files.items())
        if label.startswith(labels.COMPLEX_DATA_PREFIX)
    ]


def _parameters(step: Step) -> Any:  # noqa: ANN401 - a dictionary of the workers' own, or a list of them
    """Return what the sub-tasks before hand on: a dictionary, of a chord's header a list, at first nothing."""
    found = [facts.get("params") or {} for facts in _facts_before(step)]
    if step.task in JOINS:
        return found
    return found[0] if found else {}


def _facts_before(step: Step) -> list[dict[str, Any]]:
    """Return the facts of the sub-tasks that a step follows on; recording hands on what came before it."""
    before: list[dict[str, Any]] = []
    for parent in Step.objects.filter(child_edges__child=step).order_by("position"):
        before += _facts_before(parent) if parent.server_side else [parent.result.get("facts") or {}]
    return before
