"""How many events of a run's losses are done, over all chunks."""

from datetime import datetime

from qanat.server.runs import projection
from qanat.server.runs.models import Step


def show(step: Step, *, now: datetime) -> None:
    """Have the projection show what the chunks of a step's kind have reported so far, if they have.

    Chunks that have not begun do not know their share of the events yet; it is about that of the others.
    """
    chunks = list(step.run.steps.filter(task=step.task).values_list("resources", flat=True))
    totals = [used["events_total"] for used in chunks if "events_total" in used]
    if totals:
        projection.of(step.run).progressed(
            run=step.run,
            events_done=sum(used.get("events_done", 0) for used in chunks),
            events_total=round(sum(totals) * len(chunks) / len(totals)),
            now=now,
        )
