"""How many events of a run's losses are done, over all chunks."""

from datetime import datetime
from typing import Final

from qanat.server.runs import projection
from qanat.server.runs.models import Step

REPORTED: Final = "reported"
"""In a run's plan: what kernels have said themselves (``reports``), by the slug of their step."""
WHOLE_RUN: Final = ""
"""In place of a slug: said of the run as a whole."""


def show(step: Step, *, now: datetime) -> None:
    """Have the projection show what the chunks of a step's kind have reported so far, if they have.

    Chunks that have not begun do not know their share of the events yet; it is about that of the others.
    """
    reported = step.run.plan.get(REPORTED, {})
    chunks = [
        {**(used or {}), **reported.get(slug, {})}
        for slug, used in step.run.steps.filter(task=step.task).values_list("slug", "resources")
    ]
    if WHOLE_RUN in reported and not any("events_total" in used for used in chunks):
        # Anybody may have said it: it counts where nobody who has proved to be of the run has said anything.
        chunks = [reported[WHOLE_RUN]]
    totals = [used["events_total"] for used in chunks if "events_total" in used]
    if totals:
        projection.of(step.run).progressed(
            run=step.run,
            events_done=sum(used.get("events_done", 0) for used in chunks),
            events_total=round(sum(totals) * len(chunks) / len(totals)),
            now=now,
        )
