"""An engine whose model is served by stock workers, and answers as those would send them."""

import datetime as dt
import json
import uuid
from dataclasses import dataclass
from typing import Any

from qanat.contract import tasks
from qanat.contract.statuses import RunKind, RunMode
from qanat.server.files.storage import storage
from qanat.server.runs.models import Run, Step
from qanat.server.runs.stock import answers, served
from tests.integration.engine.world import QUEUE, World

STOCK_LEASE = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Sent:
    """A message to a stock worker, as it comes out of the broker."""

    queue: str
    task: str
    message: dict[str, Any]

    @property
    def task_id(self) -> str:
        """Celery's."""
        return str(self.message["task_id"])

    @property
    def kwargs(self) -> dict[str, Any]:
        """The keyword arguments."""
        found: dict[str, Any] = self.message["kwargs"]
        return found

    @property
    def token(self) -> str:
        """What comes back with the answer."""
        (link,) = self.message.get("chain") or self.message["link"]
        return str(link["kwargs"]["token"])

    @property
    def step(self) -> Step:
        """Whose message it is."""
        return Step.objects.get(celery_id=self.task_id)


class StockWorld(World):
    """Answers are given by the test, for the stand-in's worker."""

    def __init__(self) -> None:
        """Begin with stock workers on the model's queue."""
        super().__init__()
        self.sent: list[Sent] = []
        self.revoked: list[str] = []
        served.serve([QUEUE], stock=True)

    def send(self, *, queue: str, task: str, **message: Any) -> bool:  # noqa: ANN401 - what Celery takes
        """Stand in for ``doorbell.send``."""
        if self.broker_is_away:
            return False
        self.sent.append(Sent(queue, task, json.loads(json.dumps(message))))
        return True

    def begin(self, *, mode: RunMode = RunMode.V1, kind: RunKind = RunKind.INPUTS, analysis: int = 1) -> Sent:
        """Submit a run and return its first message."""
        self.submit(analysis, kind=kind, mode=mode)
        return self.next()

    def next(self) -> Sent:
        """Have recording done and return the next message."""
        self.control()
        while self.messages:
            self.deliver(self.messages.pop(0))
            self.control()
        return self.sent.pop(0)

    def settle(self) -> None:
        """Have all recording done."""
        self.control()
        while self.messages:
            self.deliver(self.messages.pop(0))
            self.control()

    def honest_result(self, sent: Sent) -> object:
        """Return what an honest worker does of a message."""
        whole = {tasks.GENERATE_INPUT: inputs_result, tasks.RUN_ANALYSIS: losses_result}
        return whole[sent.task]() if sent.task in whole else parameters_after(sent)

    def work_until_quiet(self, *, rounds: int = 400) -> None:
        """Let honest workers do all there is to do, time passing."""
        for _ in range(rounds):
            self.reap()
            self.settle()
            while self.sent:
                sent = self.sent.pop(0)
                self.done(sent, self.honest_result(sent))
                self.settle()
            if not Run.objects.filter(state__in=("submitted", "active")).exists():
                return
            self.later(600)
        left = list(Step.objects.filter(run__state="active").values_list("slug", "state", "fence", "failures"))
        message = f"runs are stuck: {left}"
        raise AssertionError(message)

    def run_of(self, sent: Sent) -> Run:
        """Return the run as it is now."""
        return Run.objects.get(pk=sent.step.run_id)

    def done(self, sent: Sent | str, result: object) -> bool:
        """Say that a step is done; a text is a token."""
        token = sent if isinstance(sent, str) else sent.token
        return answers.done(token=token, result=result, worker="stand-in", lease=STOCK_LEASE, now=self.now)

    def failed(self, sent: Sent, text: str = "Traceback") -> bool:
        """Say that a step has failed."""
        return answers.failed(token=sent.token, text=text, worker="stand-in", lease=STOCK_LEASE, now=self.now)

    def hint(self, task_id: str, what: str = tasks.SET_TASK_STATUS, *said: object) -> bool:
        """Send one of the messages that only show that a task lives."""
        return answers.sign_of_life(
            task_id=task_id, worker="stand-in", what=what, said=said, lease=STOCK_LEASE, now=self.now
        )


def put(suffix: str = ".tar.gz", content: bytes = b"made by the worker") -> str:
    """Write a file as a worker does, and return its name."""
    name = f"{uuid.uuid4().hex}{suffix}"
    storage().write(name, [content])
    return name


def inputs_result(*, code: int = 0, archive: str | None = None) -> list[object]:
    """Return what ``generate_input`` does."""
    return [archive or put(), put(".csv"), put(".csv"), put(".json"), put(".json"), put(".txt"), code]


def losses_result() -> list[object]:
    """Return what ``run_analysis`` does."""
    return [put(), put(".txt"), put(), 0]


def parameters_after(sent: Sent) -> dict[str, Any]:
    """Return what a V2 sub-task hands on: which it was, and the files of its phase."""
    found: dict[str, Any] = {"by": sent.kwargs["slug"], "log_location": put(".txt", sent.kwargs["slug"].encode())}
    if sent.task == tasks.WRITE_INPUT_FILES:
        found |= {"output_location": put(), "lookup_error_location": put(".csv")}
    if sent.task == tasks.GENERATE_LOSSES_OUTPUT:
        found |= {"output_location": put(), "run_logs": put()}
    return found
