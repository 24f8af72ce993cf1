"""A run is accepted: one transaction, together with the caller's own changes, and no message needed."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import transaction

from qanat.contract import queues
from qanat.contract.statuses import RunKind, RunMode
from qanat.domain.chunking import ChunkingOptions
from qanat.server.runs import doorbell, lifecycle, log_context
from qanat.server.runs.models import ACTIVE_RUN_STATES, Event, Owner, Run
from qanat.server.runs.projection import FileRef

__all__ = ["FileRef", "RunActive", "submit", "submit_internal"]


class RunActive(Exception):
    """The owner has a run that has not ended yet."""

    def __init__(self, run: Run) -> None:
        """Name the run in the way."""
        super().__init__(
            f"The {run.owner.kind} is being run already (run {run.pk}, {run.state}); cancel it or wait for its end."
        )
        self.run = run


def submit(  # noqa: PLR0913 - all that a run is made of
    *,
    owner: Owner,
    kind: RunKind,
    mode: RunMode,
    queue: str,
    inputs: Mapping[str, FileRef],
    parameters: Mapping[str, Any],
    chunking: ChunkingOptions,
    rows: int,
    events: int | None,
    priority: int,
    initiator_id: int | None,
    reuse_key: str,
    now: datetime,
) -> Run:
    """Accept a run; the task controller plans and releases it after the commit.

    Args:
        owner: whose run it is; the caller has locked and checked it.
        kind: what it produces.
        mode: V1 or V2.
        queue: the queue of those who do it: for that mode the model's, or the internal worker's.
        inputs: files by label (``contract.labels``), as they are now.
        parameters: handed to every step, e.g. ``reporting_currency``.
        chunking: the options in force: the analysis' own, else the model's.
        rows: number of locations.
        events: number of events, where the loss chunks depend on it.
        priority: 1 to 10, higher is sooner.
        initiator_id: the user who asked.
        reuse_key: digest of whatever decides the outcome apart from the files.
        now: the database's time.

    Raises:
        RunActive: the owner has a run in the way that has not ended.
    """
    with transaction.atomic():
        active = owner.line(kind).filter(state__in=ACTIVE_RUN_STATES).select_for_update().first()
        if active is not None:
            if not lifecycle.is_recorded(active):
                raise RunActive(active)
            lifecycle.succeed(active, now=now)  # Clients need not wait for it to clean up.
        run = Run.objects.create(
            **owner.columns(),
            kind=kind,
            mode=mode,
            queue=queue,
            priority=priority,
            inputs={label: ref.as_json() for label, ref in inputs.items()},
            parameters=dict(parameters),
            plan={"chunking": asdict(chunking), "rows": rows, "events": events},
            reuse_key=reuse_key,
            initiator_id=initiator_id,
            created=now,
        )
        Event.objects.create(run=run, at=now, event="run submitted", to_state=run.state)
        log_context.tell_of_run_after_commit(run)
        doorbell.wake_controller()
    return run


def submit_internal(  # noqa: PLR0913 - all that such a run is made of
    *,
    owner: Owner,
    kind: RunKind,
    inputs: Mapping[str, FileRef],
    parameters: Mapping[str, Any],
    initiator_id: int | None,
    now: datetime,
) -> Run:
    """Accept a run that the internal worker does as a whole, before everything else.

    Raises:
        RunActive: the owner has a run in the way that has not ended.
    """
    return submit(
        owner=owner,
        kind=kind,
        mode=RunMode.V1,
        queue=queues.INTERNAL_WORKER,
        inputs=inputs,
        parameters=parameters,
        chunking=ChunkingOptions(),
        rows=0,
        events=None,
        priority=queues.MAX_PRIORITY,
        initiator_id=initiator_id,
        reuse_key="",
        now=now,
    )
