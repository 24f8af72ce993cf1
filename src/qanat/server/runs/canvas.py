"""The Celery canvas of a run, and its reading back into a graph.

The task controller constructs the chain with its chords as the described platform does, every task id fixed before
anything is sent. It is never handed to a broker: ``orchestration.md`` section 1 says what goes wrong then. Instead its
edges are compiled into rows, and the engine releases a step when its last parent has committed.
"""

from collections.abc import Iterator
from typing import Any

from celery import chain, chord, signature
from celery.canvas import Signature

from qanat.domain.run_plan import PlannedStep, RunPlan

Edge = tuple[str, str]


def construct(plan: RunPlan, *, queues: dict[bool, str], task_ids: dict[str, str]) -> Signature:
    """Return the chain of a plan, parallel stages as the headers of chords.

    Args:
        plan: the stages of the run.
        queues: queue names by ``server_side``.
        task_ids: Celery task id by slug.
    """

    def sign(step: PlannedStep) -> Signature:
        return signature(
            step.task,
            kwargs={"slug": step.slug},
            options={"queue": queues[step.server_side], "task_id": task_ids[step.slug]},
            immutable=True,
        )

    links: list[Signature] = []
    stages = list(plan.stages)
    while stages:
        stage = stages.pop(0)
        if len(stage) == 1:
            links.append(sign(stage[0]))
        else:
            (body,) = stages.pop(0)
            links.append(chord(header=[sign(step) for step in stage], body=sign(body)))
    return chain(*links) if len(links) > 1 else links[0]


def edges(canvas: Signature) -> Iterator[Edge]:
    """Yield (parent slug, child slug) for every dependency in a canvas.

    Celery folds what follows a chord into the chord's body, so chains and chords nest.
    """
    found: list[Edge] = []
    _walk(canvas, before=[], found=found)
    yield from found


def _walk(node: Any, *, before: list[str], found: list[Edge]) -> list[str]:  # noqa: ANN401 - chains and chords say more than a Signature
    """Note the edges of ``node``, which starts after ``before``; return what the next node starts after."""
    kind = node["subtask_type"]
    if kind == "chain":
        for link in node.tasks:
            before = _walk(link, before=before, found=found)
        return before
    if kind == "chord":
        header = [slug for task in node.tasks for slug in _walk(task, before=before, found=found)]
        return _walk(node.body, before=header, found=found)
    slug = str(node["kwargs"]["slug"])
    found.extend((parent, slug) for parent in before)
    return [slug]
