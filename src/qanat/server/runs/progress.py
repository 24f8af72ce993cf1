"""How many events of a run's losses are done, over all chunks."""

from datetime import datetime
from typing import Final

from qanat.contract.statuses import StepState
from qanat.domain.run_plan import GO_THROUGH_EVENTS
from qanat.server.runs import projection
from qanat.server.runs.models import Run, Step

REPORTED: Final = "reported"
"""In a run's plan: what kernels have said themselves (``reports``), by the slug of their step."""
WHOLE_RUN: Final = ""
"""In place of a slug: said of the run as a whole."""


def is_known(step: Step) -> bool:
    """Say whether anything is known of the events that a step goes through; its run's row is fresh."""
    return step.task in GO_THROUGH_EVENTS and ("events_total" in step.resources or REPORTED in step.run.plan)


def show(run: Run, *, now: datetime) -> None:
    """Have the projection show what the chunks of a run have reported so far, if they have.

    Chunks that have not begun do not know their share of the events yet; it is about that of the others. Those that
    have succeeded have done theirs, whatever they said: a kernel that counts faster than it is heard leaves some out.
    """
    reported = run.plan.get(REPORTED, {})
    chunks = [
        (state == StepState.SUCCEEDED, {**(used or {}), **reported.get(slug, {})})
        for state, slug, used in run.steps.filter(task__in=GO_THROUGH_EVENTS).values_list("state", "slug", "resources")
    ]
    if WHOLE_RUN in reported and not any("events_total" in used for _, used in chunks):
        # Anybody may have said it: it counts where nobody who has proved to be of the run has said anything.
        chunks = [(all(over for over, _ in chunks), reported[WHOLE_RUN])]
    totals = [used["events_total"] for _, used in chunks if "events_total" in used]
    if not totals:
        return
    share = sum(totals) / len(totals)
    done = sum(used.get("events_total", share) if over else used.get("events_done", 0) for over, used in chunks)
    projection.of(run).progressed(run=run, events_done=round(done), events_total=round(share * len(chunks)), now=now)
