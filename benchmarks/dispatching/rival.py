"""The same sub-tasks as a plain Celery canvas, for ``benchmarks/dispatch.py``: a chain with a chord for each run.

Results, which the chord is joined by, are in PostgreSQL; the join looks once a second, as Celery does.

    celery -A rival worker          does the sub-tasks
    python rival.py RUNS CHUNKS     sends the canvases and prints the ids of their ends
"""

import json
import os
import sys
from typing import Final

from celery import Celery, chain, chord
from celery.canvas import Signature

from qanat.contract import tasks
from qanat.contract.statuses import RunKind, RunMode
from qanat.domain import run_plan

QUEUES: Final = json.loads(os.environ["RIVAL_QUEUES"])
RECORDS: Final = "rival-records"

app = Celery("rival", broker=os.environ["RIVAL_BROKER"], backend=os.environ["RIVAL_RESULTS"])
app.conf.update(
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    task_create_missing_queues=True,
)


def nothing(*_: object) -> dict[str, object]:
    """Do nothing."""
    return {}


PLAN: Final = {
    chunks: run_plan.plan(kind=RunKind.INPUTS, mode=RunMode.V2, lookup_chunks=chunks, loss_chunks=1)
    for chunks in (int(os.environ["RIVAL_CHUNKS"]),)
}
for name in {step.task for plan in PLAN.values() for step in plan.steps()}:
    app.task(name=name)(nothing)


def canvas(queue: str, chunks: int) -> Signature:
    """Return a run's chain."""
    links: list[Signature] = []
    stages = list(PLAN[chunks].stages)
    while stages:
        stage = stages.pop(0)
        signed = [app.signature(step.task).set(queue=RECORDS if step.server_side else queue) for step in stage]
        if stage[0].task == tasks.PREPARE_KEYS_FILE_CHUNK:
            (body,) = stages.pop(0)
            links.append(chord(signed, app.signature(body.task).set(queue=queue)))
        else:
            links += signed
    return chain(*links)


def main() -> None:
    """Send so many, of the models in turn."""
    runs, chunks = (int(word) for word in sys.argv[1:])
    print(json.dumps([canvas(QUEUES[number % len(QUEUES)], chunks).apply_async().id for number in range(runs)]))


if __name__ == "__main__":
    main()
