"""The document that listeners get: queues, what waits on them, and the analyses that are under way."""

from collections import defaultdict
from typing import Any, Final

from django.contrib.auth.models import User
from django.db.models import Max

from qanat.contract.statuses import AnalysisStatus, StepState, SubTaskStatus
from qanat.domain.step_state import SHOWN_AS
from qanat.server.accounts.access import visible
from qanat.server.analyses.models import Analysis
from qanat.server.runs import clock, queries
from qanat.server.runs.models import Event, Step, Worker

UNDER_WAY: Final = (
    AnalysisStatus.NEW,
    AnalysisStatus.INPUTS_GENERATION_QUEUED,
    AnalysisStatus.INPUTS_GENERATION_STARTED,
    AnalysisStatus.READY,
    AnalysisStatus.RUN_QUEUED,
    AnalysisStatus.RUN_STARTED,
)
COUNTED: Final = (SubTaskStatus.PENDING, SubTaskStatus.QUEUED, SubTaskStatus.STARTED)
Json = dict[str, Any]


def latest_event() -> int:
    """Return the number of the engine's latest event."""
    return Event.objects.aggregate(latest=Max("pk"))["latest"] or 0


def queue_status(actor: User) -> Json:
    """Return the snapshot as ``actor`` may see it, in a number of queries that does not grow with the analyses."""
    steps: defaultdict[str, defaultdict[int | None, list[SubTaskStatus]]] = defaultdict(lambda: defaultdict(list))
    unfinished = Step.objects.filter(state__in=[s for s, shown in SHOWN_AS.items() if shown in COUNTED])
    sent: defaultdict[str, int] = defaultdict(int)
    for queue, analysis_id, state in unfinished.values_list("queue", "run__analysis_id", "state"):
        steps[queue][analysis_id].append(SHOWN_AS[StepState(state)])
        sent[queue] += state == StepState.SENT
    workers: defaultdict[str, int] = defaultdict(int)
    for worker in Worker.objects.filter(draining=False):
        for queue in worker.queues:
            workers[queue] += 1
    analyses = {
        row.pk: row for row in visible(Analysis.objects.filter(status__in=UNDER_WAY), actor=actor, through="portfolio")
    }
    counts = queries.sub_task_counts(list(analyses))
    content = []
    for queue in sorted({*steps, *workers}):
        statuses = [status for found in steps[queue].values() for status in found]
        content.append(
            {
                "queue": {
                    "name": queue,
                    "pending_count": statuses.count(SubTaskStatus.PENDING),
                    "queued_count": statuses.count(SubTaskStatus.QUEUED),
                    "running_count": statuses.count(SubTaskStatus.STARTED),
                    "queue_message_count": sent[queue],
                    "worker_count": workers[queue],
                    "models": [],
                },
                "analyses": [
                    {"analysis": _analysis(analyses[pk], counts[pk], steps), "updated_tasks": []}
                    for pk in steps[queue]
                    if pk in analyses
                ],
            }
        )
    time = clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"time": time, "type": "queue_status.updated", "status": "SUCCESS", "content": content}


def _analysis(row: Analysis, counts: queries.SubTaskCounts, steps: Any) -> Json:  # noqa: ANN401 - see above
    in_queue = sum(counts.by_status[status] for status in COUNTED)
    return {
        "id": row.pk,
        "name": row.name,
        "portfolio": row.portfolio_id,
        "model": row.model_id,
        "status": row.status,
        "priority": row.priority,
        "analysis_chunks": row.analysis_chunks,
        "lookup_chunks": row.lookup_chunks,
        "sub_task_count": counts.total,
        "queue_names": [queue for queue, found in steps.items() if row.pk in found],
        "status_count": {
            "TOTAL_IN_QUEUE": in_queue,
            "TOTAL": counts.total,
            **{status.value: counts.by_status[status] for status in SubTaskStatus},
        },
    }
