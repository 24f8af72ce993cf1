"""Names of the Celery queues, and the mapping between a model and its queue (wire contract, section 4.2)."""

from typing import Final

from qanat.contract.statuses import RunMode

V1_RECORDS: Final = "celery"
"""Results and registrations of V1 workers; consumed by the worker monitor."""

V2_RECORDS: Final = "celery-v2"
"""Results and registrations of V2 workers, and the server-side sub-tasks; consumed by the worker monitor."""

TASK_CONTROLLER: Final = "task-controller"
INTERNAL_WORKER: Final = "oasis-internal-worker"
WORKER_BROADCAST: Final = "model-worker-broadcast"

MAX_PRIORITY: Final = 10
V2_SUFFIX: Final = "-v2"


def model_queue(*, supplier_id: str, model_id: str, version_id: str, run_mode: RunMode) -> str:
    """Return the queue on which workers of a model take work of ``run_mode``."""
    queue = f"{supplier_id}-{model_id}-{version_id}"
    return f"{queue}{V2_SUFFIX}" if run_mode is RunMode.V2 else queue


def model_of(queue: str) -> str:
    """Return what all queues of a model have in common: supplier, model and version."""
    return queue.removesuffix(V2_SUFFIX)


def arguments(queue: str) -> dict[str, int]:
    """Return what a queue is declared with: V2's take priorities.

    All who use a queue must say the same, or RabbitMQ turns the second away.
    """
    return {"x-max-priority": MAX_PRIORITY} if queue.endswith(V2_SUFFIX) else {}


def records_queue(run_mode: RunMode) -> str:
    """Return the queue whose consumer records the results of ``run_mode``."""
    return V2_RECORDS if run_mode is RunMode.V2 else V1_RECORDS
