"""What runs leave in storage: logs joined, failures reported, and intermediate files removed when nobody needs them.

A failed or cancelled run keeps its intermediate files, so that the next run can go on from them; they go when a run of
the same line succeeds, or with their owner.
"""

import logging
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from qanat.contract.statuses import Phase, RunMode, StepState
from qanat.server.files.models import StoredFile
from qanat.server.files.operations import note
from qanat.server.files.storage import storage
from qanat.server.runs.claims import attempt_prefix, run_prefix
from qanat.server.runs.models import Owner, Run, Step
from qanat.server.runs.projection import FileRef
from qanat.server.runs.stock.messages import shared_folder

logger = logging.getLogger(__name__)

LONGEST_LOG_BYTES = 8 * 2**20
"""Of each step's log, what goes into the analysis' traceback file at most."""


@dataclass(frozen=True, kw_only=True)
class SavedFailure:
    """Where the texts about a failed attempt lie."""

    log: str
    retry_log: str
    error_log: FileRef


def join_log(step: Step) -> str:
    """Join the pieces of the attempt's log into one object; return its key, or the old one where there are none."""
    if not step.log_parts:
        return step.output_log
    key = f"{attempt_prefix(step)}/log-{uuid.uuid4().hex}.txt"
    storage().write(key, _pieces(step.log_parts))
    return key


def save_failure(step: Step, *, report: str) -> SavedFailure:
    """Write the attempt's log, report and growing retry log; nothing refers to them until the caller commits."""
    log = join_log(step)
    prefix = f"{attempt_prefix(step)}/{uuid.uuid4().hex}"
    heading = f"=== {step.slug}, try={step.attempt} ===\n".encode()
    retry_log = f"{prefix}-retry.txt"
    before = [step.retry_log] if step.retry_log else []
    storage().write(retry_log, [*_pieces(before), heading, report.encode()])
    error_log = f"{prefix}-error.txt"
    size = storage().write(error_log, [report.encode(), *_section(step.slug, log)])
    return SavedFailure(
        log=log,
        retry_log=retry_log,
        error_log=FileRef(key=error_log, filename="worker_traceback.txt", content_type="text/plain", size=size),
    )


def write_phase_log(run: Run, *, phase: Phase, prefix: str) -> FileRef:
    """Join the logs of a phase's finished steps, each under its heading, into one object."""
    key = f"{prefix}/{uuid.uuid4().hex}-log.txt"
    done = run.steps.filter(phase=phase, state=StepState.SUCCEEDED).order_by("position")

    def sections() -> Iterator[bytes]:
        for slug, log in done.values_list("slug", "output_log"):
            yield from _section(slug, log)

    size = storage().write(key, sections())
    return FileRef(key=key, filename="traceback.txt", content_type="text/plain", size=size)


def clean_after_commit(run: Run) -> None:
    """Remove what a run that has succeeded, and those before it, have left, once the transaction has committed."""
    if not settings.QANAT.keep_remote_data:
        transaction.on_commit(partial(_clean, run.line, up_to=run.pk), robust=True)


def forget(*, owner: Owner) -> None:
    """Remove all that the runs of an owner left, rows included; for an owner that is being deleted."""
    run_ids = list(owner.runs().values_list("pk", flat=True))
    keys = _left_by(run_ids)
    # A worker may still be about to write there, and whoever removes it may be killed.
    note(*map(run_prefix, run_ids), *_left_by_stock_workers(run_ids))
    owner.runs().delete()
    transaction.on_commit(partial(_delete, keys), robust=True)


def remove_left(run_id: int, *, line: QuerySet[Run] | None) -> bool:
    """Remove what is left of a run but for the logs that steps of its line have taken over; return whether none has.

    Args:
        run_id: the run.
        line: the runs that may have taken something over; None: they are gone too.
    """
    left = _left_by([run_id])
    taken_over = left & _logs(line) if line is not None else set()
    _delete(left - taken_over)
    return not taken_over


def _clean(line: QuerySet[Run], *, up_to: int) -> None:
    """Keep logs, which sub-tasks show; a later run may be under way already, and reuses nothing of these."""
    runs = line.filter(pk__lte=up_to)
    _delete(_left_by(runs.values_list("pk", flat=True)) - _logs(runs))


def _logs(runs: QuerySet[Run]) -> set[str]:
    logs = Step.objects.filter(run__in=runs).values_list("output_log", "error_log", "retry_log")
    return {key for keys in logs for key in keys}


def _left_by(run_ids: Iterable[int]) -> set[str]:
    """Return what attempts of these runs have stored, committed or not, but for what became files of an analysis."""
    run_ids = list(run_ids)
    stored = {key for run_id in run_ids for key in storage().keys(run_prefix(run_id))} | _left_by_stock_workers(run_ids)
    return stored - set(StoredFile.objects.filter(key__in=stored).values_list("key", flat=True))


def _left_by_stock_workers(run_ids: Iterable[int]) -> set[str]:
    """Return the files that they named, of which the attempts have copies, and what they left for one another."""
    answered = Step.objects.filter(run__in=run_ids, resources__has_key="originals").select_related("run")
    named = {key for step in answered for key in step.resources["originals"]}
    folders = {shared_folder(step.run, step.phase) for step in answered if step.run.mode == RunMode.V2}
    return named | {key for folder in folders for key in storage().keys(folder)}


def _delete(keys: Iterable[str]) -> None:
    for key in keys:
        storage().delete(key)


def _section(slug: str, log: str) -> Iterator[bytes]:
    if log:
        yield f"=== {slug} ===\n".encode()
        yield from _pieces([log], limit=LONGEST_LOG_BYTES)
        yield b"\n"


def _pieces(keys: list[str], *, limit: int | None = None) -> Iterator[bytes]:
    for key in keys:
        with storage().open(key) as stream:
            left = limit
            while piece := stream.read(2**16 if left is None else min(2**16, left)):
                yield piece
                left = None if left is None else left - len(piece)
