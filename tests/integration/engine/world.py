"""An engine in virtual time, with a broker that a test can lose, repeat and reorder messages of."""

import contextlib
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qanat.contract import queues, tasks
from qanat.contract.statuses import AnalysisStatus, FailureClass, Phase, RunKind, RunMode
from qanat.contract.worker_protocol import HeartbeatVerdict
from qanat.domain import analysis_status
from qanat.domain.analysis_status import Event
from qanat.domain.chunking import ChunkingOptions
from qanat.server.files.models import StoredFile
from qanat.server.files.storage import storage
from qanat.server.runs import cancellation, claims, controller, reaping, recording, submission
from qanat.server.runs.claims import StepRefused
from qanat.server.runs.commit import commit
from qanat.server.runs.failure import AttemptFailed, fail
from qanat.server.runs.models import Owner, Run, Step, analysis
from qanat.server.runs.projection import FileRef

LEASE = dt.timedelta(seconds=60)
QUEUE = "supplier-model-1-v2"
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@dataclass
class Message:
    """A doorbell on its way."""

    queue: str
    task: str
    step_id: int
    fence: int


@dataclass
class Held:
    """A step that some worker believes to be its own."""

    step_id: int
    fence: int
    worker: str
    writes: list[str]


@dataclass
class Statuses:
    """A projection that keeps what clients would see, by the domain's table."""

    status: dict[int, AnalysisStatus] = field(default_factory=dict)
    outputs: dict[Owner, dict[str, FileRef]] = field(default_factory=dict)
    events: dict[int | None, tuple[int, int]] = field(default_factory=dict)
    """Done, and in all."""

    def apply(self, analysis_id: int, event: Event) -> None:
        """Follow the table; it raises where the engine breaks it."""
        self.status[analysis_id] = analysis_status.after(self.status.get(analysis_id, AnalysisStatus.NEW), event)

    def _follow(self, run: Run, events: Mapping[Phase, Event], phase: Phase) -> None:
        """Apply an event to the analysis that a run is of; the statuses of a portfolio are its own feature's."""
        if run.analysis_id is not None:
            self.apply(run.analysis_id, events[phase])

    def planned(self, *, run: Run, lookup_chunks: int | None, loss_chunks: int | None, now: dt.datetime) -> None:
        """Nothing is shown of it here."""

    def picked_up(self, *, run: Run, phase: Phase, now: dt.datetime) -> None:
        """Somebody has begun."""
        self._follow(run, analysis_status.PICKED_UP, phase)

    def made(self, *, run: Run, phase: Phase, outputs: Mapping[str, FileRef], now: dt.datetime) -> None:
        """The phase is complete."""
        self._follow(run, analysis_status.MADE, phase)
        self.outputs.setdefault(run.owner, {}).update(outputs)
        for ref in outputs.values():
            StoredFile.objects.update_or_create(key=ref.key, defaults={"size": ref.size})

    def failed(
        self, *, run: Run, phase: Phase, no_keys: bool, outputs: Mapping[str, FileRef], now: dt.datetime
    ) -> None:
        """The run ended in error."""
        failed = {half: analysis_status.failed(half, no_keys=no_keys) for half in analysis_status.FAILED}
        self._follow(run, failed, phase)

    def cancelled(self, *, run: Run, phase: Phase, now: dt.datetime) -> None:
        """The run was cancelled."""
        self._follow(run, analysis_status.CANCELLED, phase)

    def progressed(self, *, run: Run, events_done: int, events_total: int, now: dt.datetime) -> None:
        """Events are done."""
        self.events[run.analysis_id] = (events_done, events_total)


class World:
    """The engine, its messages and its clock."""

    def __init__(self) -> None:
        """Begin with nothing under way."""
        self.now = START
        self.messages: list[Message] = []
        self.held: list[Held] = []
        self.statuses = Statuses()
        self.broker_is_away = False

    def ring(self, *, queue: str, task: str, payload: Mapping[str, Any], priority: int | None = None) -> bool:
        """Stand in for ``doorbell.ring``."""
        del priority
        if self.broker_is_away:
            return False
        if task in {tasks.RUN_STEP, tasks.RECORD_STEP}:
            self.messages.append(Message(queue, task, payload["step_id"], payload["fence"]))
        return True

    def submit(
        self, analysis_id: int, *, kind: RunKind = RunKind.BOTH, mode: RunMode = RunMode.V2, chunks: int = 2
    ) -> Run:
        """Ask for a run, as the analyses do."""
        losses = kind is RunKind.LOSSES
        before = self.statuses.status.get(analysis_id)
        self.statuses.apply(analysis_id, Event.LOSSES_REQUESTED if losses else Event.INPUTS_REQUESTED)
        inputs = {"location_file": _file("location.csv"), "settings_file": _file("settings.json")}
        if losses:
            inputs["input_file"] = self.statuses.outputs.get(analysis(analysis_id), {}).get(
                "input_file", _file("in.tar.gz")
            )
        try:
            return submission.submit(
                owner=analysis(analysis_id),
                kind=kind,
                mode=mode,
                queue=QUEUE,
                inputs=inputs,
                parameters={},
                chunking=ChunkingOptions(fixed_lookup_chunks=chunks, fixed_analysis_chunks=chunks),
                rows=100,
                events=None,
                priority=4,
                initiator_id=None,
                reuse_key="key",
                now=self.now,
            )
        except submission.RunActive:
            if before is not None:
                self.statuses.status[analysis_id] = before
            raise

    def submit_internal(self, owner: Owner, *, kind: RunKind) -> Run:
        """Ask for a run that the internal worker does."""
        inputs = {"location_file": _file("location.csv"), "transform_file": _file("foreign.csv")}
        return submission.submit_internal(
            owner=owner, kind=kind, inputs=inputs, parameters={}, initiator_id=None, now=self.now
        )

    def control(self) -> None:
        """Let a task controller look."""
        controller.control(now=lambda: self.now)

    def reap(self) -> int:
        """Let the worker monitor look for leases that ran out."""
        return reaping.reap(now=self.now, grace=LEASE)

    def deliver(self, message: Message, *, worker: str = "w1") -> Held | None:
        """Hand a message to whoever consumes its queue."""
        if message.queue in {queues.V1_RECORDS, queues.V2_RECORDS}:
            recording.record(
                step_id=message.step_id, fence=message.fence, recorder="monitor", lease=LEASE, now=self.now
            )
            return None
        try:
            claimed = claims.claim(
                step_id=message.step_id, fence=message.fence, worker=worker, lease=LEASE, now=self.now
            )
        except StepRefused:
            return None
        held = Held(message.step_id, message.fence, worker, list(claimed.step.writes))
        self.held.append(held)
        return held

    def finish(self, held: Held, *, without: str = "") -> bool:
        """Commit a step with all its outputs, but for one where that is said; say whether the engine took it."""
        try:
            outputs = {label: _output(held, label) for label in held.writes if label != without}
            step = claims.load(held.step_id, fence=held.fence)
            commit(step=step, outputs=outputs, facts={}, resources=None, now=self.now)
        except StepRefused:
            return False
        return True

    def fail(self, held: Held, failure: FailureClass, *, no_keys: bool = False) -> bool | None:
        """Fail an attempt; say whether the step is tried again (None: the engine refused)."""
        attempt = AttemptFailed(failure_class=failure, message="It failed.", traceback="...", no_keys=no_keys)
        try:
            return fail(step_id=held.step_id, fence=held.fence, attempt=attempt, now=self.now)
        except StepRefused:
            return None

    def hand_back(self, held: Held) -> None:
        """Let a draining worker hand its step back, if it is still its own."""
        with contextlib.suppress(StepRefused):
            claims.hand_back(step_id=held.step_id, fence=held.fence, now=self.now)

    def heartbeat(self, held: Held) -> HeartbeatVerdict:
        """Let a worker say that its step goes on."""
        return claims.heartbeat(step_id=held.step_id, fence=held.fence, lease=LEASE, now=self.now)

    def cancel(self, analysis_id: int) -> Run | None:
        """Ask for the end of a run, as the analyses do."""
        return cancellation.cancel(owner=analysis(analysis_id), now=self.now)

    def hello(self, worker: str, *, slots: int, draining: bool) -> None:
        """Let a worker say that it lives."""
        claims.hello(worker=worker, queues=[QUEUE], slots=slots, draining=draining, versions={}, now=self.now)

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.now += dt.timedelta(seconds=seconds)

    def work_until_quiet(self, *, rounds: int = 400) -> None:
        """Let honest workers do all there is to do, time passing."""
        for _ in range(rounds):
            self.reap()
            self.control()
            while self.messages:
                held = self.deliver(self.messages.pop(0))
                if held is not None:
                    self.finish(held)
            if not Run.objects.filter(state__in=("submitted", "active")).exists():
                return
            self.later(5)
        left = list(Step.objects.filter(run__state="active").values_list("slug", "state", "fence", "failures"))
        message = f"runs are stuck: {left}"
        raise AssertionError(message)


def _file(name: str) -> FileRef:
    return FileRef(key=f"given/{name}", filename=name, content_type="text/csv", size=1)


def _output(held: Held, label: str) -> FileRef:
    key = f"{claims.attempt_prefix(claims.load(held.step_id, fence=held.fence))}/{label}"
    storage().write(key, [label.encode()])
    return FileRef(key=key, filename=label, content_type="text/plain", size=len(label))
