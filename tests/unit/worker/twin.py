"""The server as a worker sees it, in memory."""

import base64
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qanat.contract import tasks
from qanat.contract.worker_protocol import (
    Claim,
    Commit,
    Failure,
    Heartbeat,
    HeartbeatVerdict,
    Hello,
    HelloAnswer,
    LastWord,
    OutputFile,
    StepSpec,
)
from qanat.worker.server import Refused, ServerAway


@dataclass
class Twin:
    """Gives out one step and keeps what it is told."""

    parameters: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, tuple[str, str, bytes]] = field(default_factory=dict)
    """By label: file name, media type and content."""
    task: str = tasks.COLLECT_KEYS
    lease_seconds: float = 0.6
    verdict: HeartbeatVerdict = "continue"
    log_is_away: bool = False
    refuses_claims: bool = False
    refuses_outputs: bool = False
    claims: int = 0
    beats: list[Heartbeat] = field(default_factory=list)
    beaten: threading.Event = field(default_factory=threading.Event)
    logs: bytes = b""
    stored: dict[str, bytes] = field(default_factory=dict)
    committed: list[Commit] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    released: int = 0

    def hello(self, hello: Hello) -> HelloAnswer:
        return HelloAnswer(every_seconds=1.0)

    def claim(self, step_id: int, claim: Claim) -> StepSpec:
        self.claims += 1
        if self.refuses_claims:
            message = "somebody else has it"
            raise Refused(message)
        return StepSpec(
            step_id=step_id,
            run_id=7,
            analysis_id=3,
            task=self.task,
            slug="collect-keys",
            index=0,
            count=1,
            loss_chunks=1,
            attempt=1,
            fence=claim["fence"],
            token="token",
            lease_seconds=self.lease_seconds,
            parameters=self.parameters,
            outputs=[],
            inputs=[
                {"label": label, "filename": name, "content_type": kind, "size": len(content)}
                for label, (name, kind, content) in self.inputs.items()
            ],
        )

    def heartbeat(self, spec: StepSpec, beat: Heartbeat) -> HeartbeatVerdict:
        self.beats.append(beat)
        self.beaten.set()
        return self.verdict

    def fetch(self, spec: StepSpec, label: str, target: Path) -> None:
        target.write_bytes(self.inputs[label][2])

    def store(self, spec: StepSpec, label: str, source: Path) -> OutputFile:
        if self.refuses_outputs:
            message = "the fence is stale"
            raise Refused(message)
        self.stored[label] = source.read_bytes()
        return OutputFile(label=label, key=label, filename=source.name, content_type="text/csv", size=1)

    def log(self, spec: StepSpec, offset: int, text: bytes, *, patiently: bool = False) -> int:
        if self.log_is_away:
            message = "no room for logs"
            raise ServerAway(message)
        self.logs = self.logs[:offset] + text
        return len(self.logs)

    def commit(self, spec: StepSpec, commit: Commit) -> None:
        self._take(spec, commit)
        self.committed.append(commit)

    def fail(self, spec: StepSpec, failure: Failure) -> bool:
        self._take(spec, failure)
        self.failed.append(failure)
        return False

    def _take(self, spec: StepSpec, word: LastWord) -> None:
        if self.refuses_outputs:
            message = "the fence is stale"
            raise Refused(message)
        if "log" in word and not self.log_is_away:
            self.log(spec, word["log"]["offset"], base64.b64decode(word["log"]["content"]))
        for output in word.get("small_outputs", ()):
            self.stored[output["label"]] = base64.b64decode(output["content"])

    def release(self, spec: StepSpec) -> None:
        self.released += 1
