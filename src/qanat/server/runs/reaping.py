"""Leases that ran out: whoever held them is refused from now on, and the step is given to somebody else."""

import logging
from datetime import datetime, timedelta

from qanat import logs
from qanat.contract.statuses import FailureClass, StepState
from qanat.server.counting import counters
from qanat.server.runs.claims import StepRefused
from qanat.server.runs.failure import AttemptFailed, fail
from qanat.server.runs.models import Step, Worker

logger = logging.getLogger(__name__)


def reap(*, now: datetime, grace: timedelta) -> int:
    """Fail every running step whose lease has run out; return how many there were.

    A worker that still says hello (within ``grace``) has merely lost its way to the server for a while: that is held
    against the infrastructure. One that is silent is taken for dead, and a step that kills three workers is set aside.
    """
    expired = Step.objects.filter(state=StepState.RUNNING, lease_until__lt=now).values_list(
        "pk", "fence", "worker", "slug", "queue", "server_side"
    )
    reaped = 0
    for step_id, fence, worker, slug, queue, server_side in list(expired):
        lives = Worker.objects.filter(pk=worker, last_seen__gte=now - grace).exists()
        failure_class = FailureClass.INFRASTRUCTURE if lives or server_side else FailureClass.WORKER_LOST
        message = f"The worker {worker} that ran '{slug}' has not been heard of for a whole lease."
        try:
            fail(
                step_id=step_id,
                fence=fence,
                attempt=AttemptFailed(failure_class=failure_class, message=message),
                now=now,
            )
        except StepRefused:
            continue  # It was committed, failed or cancelled in the meantime.
        with logs.about(step=step_id, sub_task=slug, attempt=fence):
            logger.warning("%s It is given to another.", message)
        counters.LEASES_LOST.labels(queue).inc()
        reaped += 1
    return reaped
