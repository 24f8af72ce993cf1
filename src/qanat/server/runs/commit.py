"""A step's outputs become facts: at most once, whoever else may have worked on it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from qanat.contract.statuses import Phase, RunState, StepState
from qanat.domain import step_state
from qanat.domain.run_plan import RESULTS
from qanat.domain.step_state import Event as StepEvent
from qanat.server.counting import counters
from qanat.server.runs import artefacts, doorbell, lifecycle, progress, projection
from qanat.server.runs.claims import StepRefused, hold, require_held
from qanat.server.runs.log_context import about_step
from qanat.server.runs.models import Run, Step
from qanat.server.runs.projection import FileRef
from qanat.server.runs.steps import move, outputs_so_far, release_children


@about_step
def commit(
    *,
    step: Step,
    outputs: Mapping[str, FileRef],
    facts: Mapping[str, Any],
    resources: Mapping[str, Any] | None,
    now: datetime,
) -> None:
    """Record that a step succeeded, release its children, and end the run with its last step.

    Committing again what was committed changes nothing and is no error: the first answer may have been lost.

    Args:
        step: as loaded under the fence of the claim; its log as it is by now.
        outputs: files by label.
        facts: for later steps and the owner.
        resources: what the attempt has used.
        now: the database's time.

    Raises:
        StepRefused: the fence is stale or the run has ended; the outputs are to be discarded.
    """
    if step.state == StepState.SUCCEEDED:
        return
    fence = step.fence
    require_held(step, fence=fence)
    log = artefacts.join_log(step)
    with transaction.atomic():
        run, step = hold(step_id=step.pk, fence=fence)
        result = {"outputs": {label: ref.as_json() for label, ref in outputs.items()}, "facts": dict(facts)}
        if run.state != RunState.ACTIVE or not move(
            step=step,
            event=StepEvent.COMMITTED,
            now=now,
            result=result,
            resources={**step.resources, **(resources or {})},
            output_log=log,
            lease_until=None,
        ):
            message = f"'{step.slug}' may no longer be committed: its run is {run.state}."
            raise StepRefused(message)
        if progress.is_known(step):
            progress.show(run, now=now)
        if step.server_side:
            _publish(run, step, extra=outputs, now=now)
        others_follow = release_children(parents=[step], now=now)
        if not others_follow and not run.steps.filter(state__in=step_state.UNFINISHED).exists():
            lifecycle.succeed(run, now=now)
        doorbell.wake_controller()
    counters.COMMITTED.labels(step.queue).inc()


def _publish(run: Run, step: Step, *, extra: Mapping[str, FileRef], now: datetime) -> None:
    """Make the results of the phase files of the run's owner."""
    phase = Phase(step.phase)
    written = outputs_so_far(run, before_position=step.position) | dict(extra)
    results = {label: written[label] for label in RESULTS[phase] if label in written}
    projection.of(run).made(run=run, phase=phase, outputs=results, now=now)
