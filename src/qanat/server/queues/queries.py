"""The document that listeners get: queues, what waits on them, and the analyses that are under way."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth.models import User
from django.db.models import Max

from qanat.contract.statuses import AnalysisStatus, RunMode, StepState, SubTaskStatus
from qanat.domain.step_state import SHOWN_AS
from qanat.server.accounts.access import visible
from qanat.server.analyses.models import Analysis
from qanat.server.risk_models.models import RiskModel
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
ShowModels = Callable[[list[RiskModel]], dict[int, Json]]
"""Returns how models look in the document, by id; the API's forms know."""


def latest_event() -> int:
    """Return the number of the engine's latest event."""
    return Event.objects.aggregate(latest=Max("pk"))["latest"] or 0


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A queue: what its sub-tasks are at, by analysis (None: those of portfolios), and who serves it."""

    name: str
    sub_tasks: Mapping[int | None, list[SubTaskStatus]]
    messages: int
    workers: int
    models: list[RiskModel]

    def as_json(self, models: Mapping[int, Json]) -> Json:
        """Return the queue as clients see it, with its models as they are shown."""
        statuses = Counter(status for found in self.sub_tasks.values() for status in found)
        return {
            "name": self.name,
            "pending_count": statuses[SubTaskStatus.PENDING],
            "queued_count": statuses[SubTaskStatus.QUEUED],
            "running_count": statuses[SubTaskStatus.STARTED],
            "queue_message_count": self.messages,
            "worker_count": self.workers,
            "models": [models[model.pk] for model in self.models],
        }


def queues(actor: User) -> list[Queue]:
    """Return the queues that have a worker or unfinished sub-tasks, with the models that ``actor`` may see."""
    sub_tasks: defaultdict[str, defaultdict[int | None, list[SubTaskStatus]]] = defaultdict(lambda: defaultdict(list))
    messages: Counter[str] = Counter()
    unfinished = Step.objects.filter(state__in=[s for s, shown in SHOWN_AS.items() if shown in COUNTED])
    for name, analysis_id, state in unfinished.values_list("queue", "run__analysis_id", "state"):
        sub_tasks[name][analysis_id].append(SHOWN_AS[StepState(state)])
        messages[name] += state == StepState.SENT
    workers = Counter(name for worker in Worker.objects.filter(draining=False) for name in worker.queues)
    models: defaultdict[str, list[RiskModel]] = defaultdict(list)
    known = RiskModel.objects.filter(deleted=False).order_by("pk")
    for model in visible(known, actor=actor):
        for mode in RunMode:
            models[model.queue(mode)].append(model)
    return [
        Queue(
            name=name,
            sub_tasks=sub_tasks[name],
            messages=messages[name],
            workers=workers[name],
            models=models[name],
        )
        for name in sorted({*sub_tasks, *workers})
    ]


def shown(found: list[Queue], show_models: ShowModels) -> list[Json]:
    """Return queues as clients see them."""
    models = show_models(list({model.pk: model for queue in found for model in queue.models}.values()))
    return [queue.as_json(models) for queue in found]


def queue_status(actor: User, *, show_models: ShowModels) -> Json:
    """Return the snapshot as ``actor`` may see it, in a number of queries that does not grow with the analyses."""
    found = queues(actor)
    under_way = Analysis.objects.filter(status__in=UNDER_WAY)
    analyses = {row.pk: row for row in visible(under_way, actor=actor, through="portfolio")}
    counts = queries.sub_task_counts(list(analyses))
    served: defaultdict[int | None, list[str]] = defaultdict(list)
    for queue in found:
        for pk in queue.sub_tasks:
            served[pk].append(queue.name)
    content = [
        {
            "queue": seen,
            "analyses": [
                {"analysis": _analysis(analyses[pk], counts[pk], served[pk]), "updated_tasks": []}
                for pk in queue.sub_tasks
                if pk in analyses
            ],
        }
        for queue, seen in zip(found, shown(found, show_models), strict=True)
    ]
    time = clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"time": time, "type": "queue_status.updated", "status": "SUCCESS", "content": content}


def _analysis(row: Analysis, counts: queries.SubTaskCounts, served_by: list[str]) -> Json:
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
        "queue_names": served_by,
        "status_count": {
            "TOTAL_IN_QUEUE": in_queue,
            "TOTAL": counts.total,
            **{status.value: counts.by_status[status] for status in SubTaskStatus},
        },
    }
