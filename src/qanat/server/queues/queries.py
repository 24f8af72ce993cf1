"""The document that listeners get: queues, what waits on them, and the analyses that are under way.

It is made in a number of queries that grows neither with the analyses nor with the queues. Its analyses and models are
those that its reader may see. The names of queues, and how much is on them, are the same for everybody: whoever waits
wants to know, and a worker controller need see no analysis to scale.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.models import User
from django.db.models import Count, Max, Q, QuerySet

from qanat.contract import queues as names
from qanat.contract.statuses import AnalysisStatus, RunMode, StepState, SubTaskStatus
from qanat.domain.step_state import SHOWN_AS, UNFINISHED
from qanat.server.accounts.access import visible
from qanat.server.analyses.models import Analysis
from qanat.server.queues.models import Tick
from qanat.server.risk_models.models import RiskModel
from qanat.server.runs import clock, queries
from qanat.server.runs.models import Step, Worker

UPDATED: Final = "queue_status.updated"
FILTERED: Final = "queue_status.filter"
UNDER_WAY: Final = (
    AnalysisStatus.NEW,
    AnalysisStatus.INPUTS_GENERATION_QUEUED,
    AnalysisStatus.INPUTS_GENERATION_STARTED,
    AnalysisStatus.READY,
    AnalysisStatus.RUN_QUEUED,
    AnalysisStatus.RUN_STARTED,
)
COUNTED: Final = (SubTaskStatus.PENDING, SubTaskStatus.QUEUED, SubTaskStatus.STARTED)
COLUMNS: Final = (
    "pk",
    "name",
    "portfolio_id",
    "model_id",
    "status",
    "priority",
    "analysis_chunks",
    "lookup_chunks",
    "run_mode",
    "model__run_mode",
    "model__supplier_id",
    "model__model_id",
    "model__version_id",
)
Json = dict[str, Any]
ShowModels = Callable[[list[RiskModel]], dict[int, Json]]
"""Returns how models look in the document, by id; the API's forms know."""


def latest_tick() -> int:
    """Return the number of beat's latest tick."""
    return Tick.objects.aggregate(latest=Max("pk"))["latest"] or 0


def tick_age(*, now: datetime) -> float | None:
    """Return the seconds since beat's latest tick, or None where it has never ticked."""
    latest = Tick.objects.aggregate(at=Max("at"))["at"]
    return (now - latest).total_seconds() if latest else None


def ended(analysis_ids: Collection[int]) -> frozenset[int]:
    """Return those of the analyses that are not under way."""
    if not analysis_ids:
        return frozenset()
    found = Analysis.objects.filter(pk__in=analysis_ids).exclude(status__in=UNDER_WAY)
    return frozenset(found.values_list("pk", flat=True))


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A queue: how many sub-tasks on it are at what, and who serves it."""

    name: str
    counts: Mapping[SubTaskStatus, int]
    messages: int
    workers: int
    models: list[RiskModel]

    def as_json(self, models: Mapping[int, Json]) -> Json:
        """Return the queue as clients see it, with its models as they are shown."""
        return {
            "name": self.name,
            "pending_count": self.counts[SubTaskStatus.PENDING],
            "queued_count": self.counts[SubTaskStatus.QUEUED],
            "running_count": self.counts[SubTaskStatus.STARTED],
            "queue_message_count": self.messages,
            "worker_count": self.workers,
            "models": [models[model.pk] for model in self.models],
        }


@dataclass(frozen=True, kw_only=True)
class SubTasks:
    """What an analysis has on queues."""

    counts: Counter[SubTaskStatus] = field(default_factory=Counter)
    """Of its sub-tasks, which clients see in V2 only."""
    queues: set[str] = field(default_factory=set)
    """Those on which it is shown."""
    waits_on: set[str] = field(default_factory=set)
    """Those on which something of it is left to do."""


def queue_status(
    actor: User, *, show_models: ShowModels, also: Collection[int] = (), only: Collection[int] | None = None
) -> Json:
    """Return the state of the queues as ``actor`` may see it.

    Args:
        actor: whoever reads it.
        show_models: how models look in it.
        also: analyses to show whatever their status, besides those under way: such as have just ended.
        only: show these analyses, whatever their status, and their queues; nothing else.
    """
    wanted = Q(pk__in=only) if only is not None else Q(status__in=UNDER_WAY) | Q(pk__in=also)
    analyses = visible(Analysis.objects.filter(wanted), actor=actor, through="portfolio")
    rows = list(analyses.order_by("pk").values(*COLUMNS))
    sub_tasks = _sub_tasks(analyses)
    on_queue: defaultdict[str, list[Json]] = defaultdict(list)
    asked_for: set[str] = set()
    for row in rows:
        mine = sub_tasks[row["pk"]]
        on = mine.queues | _v1_queue(row)
        entry = {"analysis": _analysis(row, mine), "updated_tasks": []}
        for name in on:
            on_queue[name].append(entry)
        if only is not None or row["pk"] in also:
            asked_for |= on
    found = [queue for queue in queues(actor, also=asked_for) if only is None or queue.name in asked_for]
    content = [
        {"queue": seen, "analyses": on_queue[queue.name]}
        for queue, seen in zip(found, shown(found, show_models), strict=True)
    ]
    return {
        "time": clock.shown(clock.now()),
        "type": UPDATED if only is None else FILTERED,
        "status": "SUCCESS",
        "content": content,
    }


def queues(actor: User, *, also: Iterable[str] = ()) -> list[Queue]:
    """Return the queues that have a worker or unfinished sub-tasks, and those of ``also``, though they have neither.

    Each has the models that ``actor`` may see.
    """
    counts: defaultdict[str, Counter[SubTaskStatus]] = defaultdict(Counter)
    messages: Counter[str] = Counter()
    unfinished = Step.objects.filter(state__in=UNFINISHED).order_by().values_list("queue", "state")
    for name, state, number in unfinished.annotate(number=Count("pk")):
        counts[name][SHOWN_AS[StepState(state)]] += number
        messages[name] += number if state == StepState.SENT else 0
    serving = Worker.objects.filter(draining=False).values_list("queues", flat=True)
    workers = Counter(name for served in serving for name in served)
    models: defaultdict[str, list[RiskModel]] = defaultdict(list)
    known = RiskModel.objects.filter(deleted=False).order_by("pk")
    for model in visible(known, actor=actor):
        for mode in RunMode:
            models[model.queue(mode)].append(model)
    return [
        Queue(
            name=name,
            counts=counts[name],
            messages=messages[name],
            workers=workers[name],
            models=models[name],
        )
        for name in sorted({*counts, *workers, *also})
    ]


def _sub_tasks(analyses: QuerySet[Analysis]) -> defaultdict[int, SubTasks]:
    """Return what the latest run of each analysis has on which queue."""
    found: defaultdict[int, SubTasks] = defaultdict(SubTasks)
    steps = Step.objects.filter(run__in=queries.latest_runs(analyses.values("pk"))).order_by()
    columns = ("run__analysis_id", "run__mode", "queue", "state", "server_side")
    for pk, mode, queue, state, server_side, number in steps.values_list(*columns).annotate(number=Count("pk")):
        mine = found[pk]
        unfinished = state in UNFINISHED
        if unfinished:
            mine.waits_on.add(queue)
        if mode == RunMode.V2:
            mine.counts[SHOWN_AS[StepState(state)]] += number
            mine.queues.add(queue)
        elif unfinished and not server_side:
            # Worker controllers take an analysis that has no sub-tasks for one task on the queue on which they find it
            # first: that must be the queue of those who do the work.
            mine.queues.add(queue)
    return found


def shown(found: list[Queue], show_models: ShowModels) -> list[Json]:
    """Return queues as clients see them."""
    models = show_models(list({model.pk: model for queue in found for model in queue.models}.values()))
    return [queue.as_json(models) for queue in found]


def _v1_queue(row: Json) -> set[str]:
    """Return the queue on which an analysis is shown without having sub-tasks there."""
    mode = row["run_mode"] or row["model__run_mode"]
    if row["model_id"] is None or mode == RunMode.V2:
        return set()
    model = {name: row[f"model__{name}"] for name in ("supplier_id", "model_id", "version_id")}
    return {names.model_queue(**model, run_mode=RunMode.V1)}


def _analysis(row: Json, sub_tasks: SubTasks) -> Json:
    counts = sub_tasks.counts
    return {
        "id": row["pk"],
        "name": row["name"],
        "portfolio": row["portfolio_id"],
        "model": row["model_id"],
        "status": row["status"],
        "priority": row["priority"],
        "analysis_chunks": row["analysis_chunks"],
        "lookup_chunks": row["lookup_chunks"],
        "sub_task_count": counts.total(),
        "queue_names": sorted(sub_tasks.waits_on),
        "status_count": {
            "TOTAL_IN_QUEUE": sum(counts[status] for status in COUNTED),
            "TOTAL": counts.total(),
            **{status.value: counts[status] for status in SubTaskStatus},
        },
    }
