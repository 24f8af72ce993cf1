"""The Celery app, and what all its tasks have in common (wire contract, sections 4.3 and 5.1)."""

import json
import os
from typing import Any

from celery import Celery, Task, signature
from celery.signals import worker_ready

from tests.stock_worker import wishes

SUPPLIER, MODEL, VERSION = os.environ.get("STAND_IN_MODEL", "Stock/StandIn/1").split("/")
MODE = os.environ.get("STAND_IN_MODE", "v1")
RECORDS = "celery-v2" if MODE == "v2" else "celery"
VERSIONS = {"oasislmf": "2.5.5", "ktools": "3.12.4", "platform": "2.5.6", "ods-tools": "5.0.7", "oed-schema": "4.0.0"}

app = Celery("stand-in", broker=os.environ.get("STAND_IN_BROKER", "memory://"))
app.conf.update(
    accept_content=["json"],
    task_serializer="json",
    result_backend=None,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    # All V2 queues take priorities, none of V1's do (section 4.2).
    **({"task_queue_max_priority": 10} if MODE == "v2" else {}),
)


def say(task: str, *args: object, **kwargs: object) -> None:
    """Send the server a message."""
    signature(task, args=args, kwargs=kwargs, queue=RECORDS, app=app).apply_async()


@worker_ready.connect
def register(**_: object) -> None:
    """Say which model this is, as every worker does when it starts."""
    settings = {"name": "Stand-in", "model_settings": {}, "lookup_settings": {}}
    args: list[Any] = [SUPPLIER, MODEL, VERSION, json.loads(json.dumps(settings)), VERSIONS]
    if MODE == "v2":
        say("run_register_worker_v2", *args, {"model_data_dir": "model_data"})
    else:
        say("run_register_worker", *args)


def twice(task: "Task[Any, Any]", result: object) -> None:
    """Answer once more than the contract has it, where that is wished for."""
    if wishes.once(f"twice-{task.name}"):
        for link in [*(task.request.callbacks or ()), *(task.request.chain or ())]:
            signature(link, app=app).clone(args=(result,)).apply_async()
