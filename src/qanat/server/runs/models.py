"""Tables of the engine: the same on PostgreSQL and SQLite (``orchestration.md``, section 3)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from qanat.contract.statuses import OwnerKind, Phase, RunKind, RunMode, RunState, StepState
from qanat.domain.run_plan import ONE_OF_EACH_KIND

ACTIVE_RUN_STATES = (RunState.SUBMITTED, RunState.ACTIVE)


def _choices(enum: type) -> list[tuple[str, str]]:
    return [(member.value, member.value) for member in enum]  # type: ignore[attr-defined]


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Whose a run is."""

    kind: OwnerKind
    id: int

    def columns(self) -> dict[str, int]:
        """Return by what its runs are found, and made."""
        return {f"{self.kind}_id": self.id}

    def runs(self) -> "models.QuerySet[Run]":
        """Return all its runs."""
        return Run.objects.filter(**self.columns())

    def line(self, kind: str) -> "models.QuerySet[Run]":
        """Return the runs that come one after another with one of this kind, and go on from what the last has left.

        All runs of an analysis do; of a portfolio those of one kind.
        """
        return self.runs().filter(kind=kind) if self.kind in ONE_OF_EACH_KIND else self.runs()


def analysis(pk: int) -> Owner:
    """Return an analysis as the owner of runs."""
    return Owner(kind=OwnerKind.ANALYSIS, id=pk)


def portfolio(pk: int) -> Owner:
    """Return a portfolio as the owner of runs."""
    return Owner(kind=OwnerKind.PORTFOLIO, id=pk)


class Run(models.Model):
    """One execution: of an analysis' inputs, its losses, or both; or of a task on a portfolio's exposure."""

    analysis_id = models.BigIntegerField(null=True, db_index=True)
    portfolio_id = models.BigIntegerField(null=True, db_index=True)
    """One of the two is set: see ``owner``."""
    kind = models.CharField(max_length=16, choices=_choices(RunKind))
    mode = models.CharField(max_length=2, choices=_choices(RunMode))
    queue = models.CharField(max_length=255)
    """The model's queue for this mode."""
    state = models.CharField(max_length=16, choices=_choices(RunState), default=RunState.SUBMITTED)
    priority = models.PositiveSmallIntegerField(default=4)
    plan: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    """What the number of chunks follows from: chunking options, location rows, events; later the counts."""
    inputs: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    """label -> FileRef of everything the user supplied, as it was when the run was submitted."""
    parameters: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    reuse_key = models.CharField(max_length=64, blank=True)
    """Digest of whatever decides the outcome apart from the files: model, versions, settings."""
    initiator_id = models.BigIntegerField(null=True)
    error: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    cancel_requested_at = models.DateTimeField(null=True)
    created = models.DateTimeField()
    started = models.DateTimeField(null=True)
    finished = models.DateTimeField(null=True)
    cleared = models.BooleanField(default=False)
    """Whether nothing is needed any more of what its steps have left in storage."""

    class Meta:
        """One active run an analysis, and one of each kind a portfolio."""

        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(analysis_id__isnull=True, portfolio_id__isnull=False)
                | Q(analysis_id__isnull=False, portfolio_id__isnull=True),
                name="run_has_one_owner",
            ),
            models.UniqueConstraint(
                fields=["analysis_id"],
                condition=Q(state__in=[state.value for state in ACTIVE_RUN_STATES]),
                name="one_active_run_per_analysis",
            ),
            models.UniqueConstraint(
                fields=["portfolio_id", "kind"],
                condition=Q(state__in=[state.value for state in ACTIVE_RUN_STATES]),
                name="one_active_run_per_portfolio_and_kind",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["state", "-priority", "id"], name="run_by_urgency"),
            models.Index(fields=["finished"], condition=Q(cleared=False), name="run_to_be_cleared"),
        ]

    def __str__(self) -> str:
        """Name the run for logs."""
        return f"run {self.pk} of {self.owner.kind} {self.owner.id}"

    @property
    def owner(self) -> Owner:
        """Whose run it is."""
        if self.analysis_id is not None:
            return analysis(self.analysis_id)
        assert self.portfolio_id is not None  # noqa: S101 - a constraint of the table
        return portfolio(self.portfolio_id)

    @property
    def line(self) -> "models.QuerySet[Run]":
        """The runs that come one after another with this one, itself included (``Owner.line``)."""
        return self.owner.line(self.kind)


class Step(models.Model):
    """One sub-task of a run, sent as one Celery message; clients see it as an analysis-task-status."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveIntegerField()
    """Order in which clients see the steps; parents come before their children."""
    slug = models.CharField(max_length=255)
    name = models.CharField(max_length=255)
    task = models.CharField(max_length=255)
    phase = models.CharField(max_length=16, choices=_choices(Phase))
    queue = models.CharField(max_length=255)
    server_side = models.BooleanField(default=False)
    index = models.PositiveIntegerField(default=0)
    count = models.PositiveIntegerField(default=1)
    reads: "models.JSONField[list[str], list[str]]" = models.JSONField(default=list)
    writes: "models.JSONField[list[str], list[str]]" = models.JSONField(default=list)

    state = models.CharField(max_length=16, choices=_choices(StepState), default=StepState.WAITING)
    parents_left = models.PositiveIntegerField(default=0)
    fence = models.PositiveIntegerField(default=1)
    """Goes up each time the step is given to somebody anew; whoever holds an older one is refused."""
    attempt = models.PositiveIntegerField(default=0)
    """How often the step was claimed."""
    failures: "models.JSONField[dict[str, int], dict[str, int]]" = models.JSONField(default=dict)
    """Failures so far by what they are held against (``domain.retries.Attempts``)."""
    fewer_processes = models.BooleanField(default=False)
    lease_until = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    ring_at = models.DateTimeField(null=True)
    """When the doorbell shall ring again unless somebody has claimed the step."""
    rings = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=255, blank=True)
    celery_id = models.CharField(max_length=64, unique=True)
    """Of the present attempt; a stock worker's message has it, and so have the links and signs of life that follow."""
    digest = models.CharField(max_length=64, blank=True)
    """Of the task and all it reads; equal digests give equal outputs, so a later run may reuse them."""
    result: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    """``{"outputs": {label: FileRef}, "facts": {...}}``."""
    error: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    resources: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)
    log_parts: "models.JSONField[list[str], list[str]]" = models.JSONField(default=list)
    """Storage keys of the attempt's log as it came in; joined into ``output_log`` when the attempt ends."""
    output_log = models.CharField(max_length=255, blank=True)
    error_log = models.CharField(max_length=255, blank=True)
    retry_log = models.CharField(max_length=255, blank=True)
    retries = models.PositiveIntegerField(default=0)

    pending_at = models.DateTimeField()
    queued_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        """Steps come in the order in which clients see them."""

        ordering: ClassVar = ["run_id", "position"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "slug"], name="one_step_per_slug")]
        indexes: ClassVar = [
            models.Index(fields=["state", "queue"], name="step_by_state_and_queue"),
            models.Index(fields=["state", "lease_until"], name="step_by_lease"),
        ]

    def __str__(self) -> str:
        """Name the step for logs."""
        return f"{self.slug} of run {self.run_id}"


class StepEdge(models.Model):
    """``child`` waits for ``parent``."""

    parent = models.ForeignKey(Step, on_delete=models.CASCADE, related_name="child_edges")
    child = models.ForeignKey(Step, on_delete=models.CASCADE, related_name="parent_edges")

    class Meta:
        """An edge stands once."""

        constraints: ClassVar = [models.UniqueConstraint(fields=["parent", "child"], name="edge_once")]

    def __str__(self) -> str:
        """Name the edge for logs."""
        return f"{self.parent_id} -> {self.child_id}"


class Event(models.Model):
    """Something changed: audit, source of pushes and the tests' oracle. ``id`` is its place in the sequence."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events")
    step = models.ForeignKey(Step, on_delete=models.CASCADE, null=True, related_name="events")
    at = models.DateTimeField()
    event = models.CharField(max_length=32)
    from_state = models.CharField(max_length=16, blank=True)
    to_state = models.CharField(max_length=16)
    fence = models.PositiveIntegerField(default=0)
    detail: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)

    class Meta:
        """Events come in the order in which they happened."""

        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        """Name the event for logs."""
        return f"{self.event}: {self.from_state} -> {self.to_state}"


class Worker(models.Model):
    """A model worker that has said hello."""

    id = models.CharField(max_length=255, primary_key=True)
    queues: "models.JSONField[list[str], list[str]]" = models.JSONField(default=list)
    versions: "models.JSONField[dict[str, str], dict[str, str]]" = models.JSONField(default=dict)
    slots = models.PositiveIntegerField(default=1)
    draining = models.BooleanField(default=False)
    last_seen = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        """Name the worker for logs."""
        return self.id


class StockQueue(models.Model):
    """A queue that workers of the Oasis Platform serve, instead of our own: theirs registered last."""

    name = models.CharField(max_length=255, primary_key=True)

    def __str__(self) -> str:
        """Name the queue."""
        return self.name
