"""The task controller's first half: a submitted run becomes steps.

It reads the chunking configuration that the run was submitted with, constructs the Celery canvas, compiles it into
step and edge rows in one transaction, and marks as done what an earlier, failed or cancelled run of the owner did
already.
"""

import logging
import uuid
from collections.abc import Collection, Iterable
from datetime import datetime
from functools import cache
from typing import Final

from django.db import DatabaseError, transaction
from django.db.models import Max

from qanat import logs
from qanat.contract.queues import records_queue
from qanat.contract.statuses import RunKind, RunMode, RunState, StepState
from qanat.domain import chunking, run_plan
from qanat.domain.chunking import ChunkingOptions, Strategy
from qanat.domain.run_plan import PlannedStep
from qanat.domain.step_state import Event as StepEvent
from qanat.server.files.storage import storage
from qanat.server.runs import canvas, lifecycle, projection
from qanat.server.runs.claims import run_prefix
from qanat.server.runs.models import Run, Step, StepEdge
from qanat.server.runs.steps import digest_of, inputs_of, lock_run, move, move_held, outputs_of, release_children
from qanat.server.runs.stock import served
from qanat.storage.port import StorageError

logger = logging.getLogger(__name__)

IN_A_ROW: Final = 20
"""Runs that are planned before steps that are ready get their turn, and runs that are more urgent."""


def submitted(*, but: Collection[int]) -> list[int]:
    """Return the runs that wait to be planned, the most urgent first, no more than are planned in a row."""
    waiting = Run.objects.filter(state=RunState.SUBMITTED).exclude(pk__in=but)
    return list(waiting.order_by("-priority", "id").values_list("pk", flat=True)[:IN_A_ROW])


def plan_all(run_ids: Iterable[int], *, now: datetime) -> set[int]:
    """Plan runs; return those that must wait longer."""
    postponed = set()
    for run_id in run_ids:
        with logs.about(run=run_id):
            try:
                plan_run(run_id=run_id, now=now)
            except DatabaseError:
                raise
            except StorageError as error:
                logger.warning("Run %s waits to be planned: %s", run_id, error)
                postponed.add(run_id)
            except Exception as error:  # an outermost loop: no run may keep the others from being planned
                logger.exception("Run %s cannot be planned", run_id)
                _give_up(run_id=run_id, error=error, now=now)
    return postponed


def _give_up(*, run_id: int, error: Exception, now: datetime) -> None:
    """End a run that cannot be planned, as failed: trying again would end in the same way."""
    with transaction.atomic():
        run = lock_run(run_id)
        if run.state != RunState.SUBMITTED:
            return
        message = f"The run could not be planned ({type(error).__name__}: {error}). Look at the task controller's log."
        lifecycle.end(run, to=RunState.FAILED, now=now, detail={"message": message}, error={"message": message})
        projection.of(run).failed(run=run, phase=lifecycle.current_phase(run), no_keys=False, outputs={}, now=now)


def plan_run(*, run_id: int, now: datetime) -> None:
    """Turn one submitted run into rows, unless another controller was first or the run has ended."""
    with transaction.atomic():
        run = lock_run(run_id)
        if run.state != RunState.SUBMITTED:
            return
        lookup_chunks, loss_chunks = _chunk_counts(run)
        plan = run_plan.plan(
            kind=RunKind(run.kind), mode=RunMode(run.mode), lookup_chunks=lookup_chunks, loss_chunks=loss_chunks
        )
        run.plan |= {"lookup_chunks": lookup_chunks, "loss_chunks": loss_chunks, "run_data": _run_data(run)}
        queues = {False: run.queue, True: records_queue(RunMode(run.mode))}
        task_ids = {step.slug: uuid.uuid4().hex for step in plan.steps()}
        chord = canvas.construct(plan, queues=queues, task_ids=task_ids)

        steps = {
            planned.slug: _row(run, planned, position=position, queue=queues[planned.server_side], now=now)
            for position, planned in enumerate(plan.steps())
        }
        for slug, step in steps.items():
            step.celery_id = task_ids[slug]
        edges = list(canvas.edges(chord))
        for _, child in edges:
            steps[child].parents_left += 1
        Step.objects.bulk_create(steps.values())
        StepEdge.objects.bulk_create(StepEdge(parent=steps[parent], child=steps[child]) for parent, child in edges)

        lifecycle.record(run, to=RunState.ACTIVE, now=now, plan=run.plan)
        v2 = run.mode == RunMode.V2
        projection.of(run).planned(
            run=run,
            lookup_chunks=lookup_chunks if v2 and run.kind != RunKind.LOSSES else None,
            loss_chunks=loss_chunks if v2 and run.kind != RunKind.INPUTS else None,
            now=now,
        )
        free = [step for step in steps.values() if step.parents_left == 0]
        move_held(steps=free, event=StepEvent.PARENTS_DONE, now=now, queued_at=now)
        reused = _reuse(run, now=now)
    logger.info("Planned %s: %d steps, %d reused", run, len(steps), reused)


def _chunk_counts(run: Run) -> tuple[int, int]:
    if run.mode == RunMode.V1:
        return 1, 1
    stored = dict(run.plan["chunking"])
    stored["lookup_strategy"] = Strategy(stored["lookup_strategy"])
    stored["loss_strategy"] = Strategy(stored["loss_strategy"])
    options = ChunkingOptions(**stored)
    return (
        chunking.lookup_chunks(options=options, rows=run.plan["rows"]),
        chunking.loss_chunks(options=options, events=run.plan["events"] or 1),
    )


def _run_data(run: Run) -> dict[str, str]:
    """Return by phase what stock workers name the folder after in which they leave things for one another."""
    return {phase: uuid.uuid4().hex for phase in run_plan.PHASES[RunKind(run.kind)]}


def _row(run: Run, planned: PlannedStep, *, position: int, queue: str, now: datetime) -> Step:
    return Step(
        run=run,
        position=position,
        slug=planned.slug,
        name=planned.name,
        task=planned.task,
        phase=planned.phase,
        queue=queue,
        server_side=planned.server_side,
        priority=run.priority,
        index=planned.index,
        count=planned.count,
        reads=list(planned.reads),
        writes=list(planned.writes),
        pending_at=now,
    )


def _reuse(run: Run, *, now: datetime) -> int:
    """Mark as done the leading steps whose outputs an earlier run that did not succeed left behind; return how many.

    A step is reused where all it depends on is reused too, its digest equals that of a finished step of such a run, and
    its outputs still exist. Server-side steps are never reused: they are what makes outputs the analysis' own. Nothing
    is reused of runs before one that has succeeded: what they have left is being removed. Stock workers hand on what no
    row tells, so nothing is reused for them.
    """
    if served.is_stock(run.queue):
        return 0
    succeeded = run.line.filter(state=RunState.SUCCEEDED)
    earlier = list(
        Step.objects.filter(
            run__in=run.line,
            run__gt=succeeded.aggregate(latest=Max("pk"))["latest"] or 0,
            run__state__in=(RunState.FAILED, RunState.CANCELLED),
            state=StepState.SUCCEEDED,
            server_side=False,
        )
        .exclude(digest="")
        .order_by("pk")
    )
    candidates = {step.digest: step for step in earlier}

    @cache
    def stored() -> set[str]:
        # To ask for each file takes as many requests to the storage, and all runs wait meanwhile.
        return {key for run_id in {step.run_id for step in earlier} for key in storage().keys(run_prefix(run_id))}

    reused = 0
    produced: dict[str, projection.FileRef] = {}
    while candidates:
        done = []
        for step in run.steps.filter(state=StepState.READY, server_side=False).order_by("position"):
            digest = digest_of(step, inputs=inputs_of(step, produced=produced))
            before = candidates.get(digest)
            if before is None or any(ref.key not in stored() for ref in outputs_of(before.result).values()):
                continue
            move(
                step=step,
                event=StepEvent.REUSED,
                now=now,
                detail={"reused": before.pk},
                digest=digest,
                result=before.result,
                output_log=before.output_log,
                started_at=now,
            )
            produced |= outputs_of(before.result)
            done.append(step)
        if not done:
            break
        release_children(parents=done, now=now)
        reused += len(done)
    return reused
