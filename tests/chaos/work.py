"""The analyses: small, of every shape and priority; some are cancelled, of some the model misbehaves."""

import hashlib
import random
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from qanat.cli.client import ServerRefused
from tests.acceptance.faults import Runs
from tests.chaos.misbehaving_lookup import FLOOD, HANG, HOARD, WAYS
from tests.chaos.patient import PatientClient
from tests.waiting import until

V1: Final = "V1"
SHAPES: Final = {V1: 1, "V2, 2 chunks": 2, "V2, 3 chunks": 3}
PRIORITIES: Final = range(1, 11)
CANCELLED_SHARE: Final = 0.1
MISBEHAVING_SHARE: Final = 0.1
CANCELLED_WITHIN_SECONDS: Final = 8.0
REFERENCE_SECONDS: Final = 600.0


@dataclass(kw_only=True)
class Wanted:
    """An analysis whose run was accepted."""

    analysis: int
    shape: str
    way: str = ""
    """In which its model misbehaves; nothing: it does not."""
    cancel_at: float | None = None
    """On the monotonic clock; None: it is not cancelled."""
    cancelled: bool = False
    """The server has said so."""

    @property
    def end(self) -> str:
        """The state in which its run must end."""
        if self.cancelled:
            return "cancelled"
        return "failed" if self.way in {FLOOD, HOARD} else "succeeded"


@dataclass
class Work:
    """Starts analyses and compares what comes of them."""

    client: PatientClient
    folder: Path
    seed: int
    wanted: list[Wanted] = field(default_factory=list)
    expected: dict[str, dict[str, str]] = field(default_factory=dict)
    """By shape: the digest of each file of the results of a run that nobody disturbed."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - to be repeated
        self.runs = Runs(self.client, self.folder)
        self.portfolios: dict[str, int] = {}

    def learn(self) -> None:
        """Upload what models misbehave on, and run one analysis of each shape undisturbed."""
        for way in WAYS:
            self.portfolios[way] = self.runs.upload(self._locations(way))
        started = [
            Wanted(
                analysis=self._begun(self.runs.prepare(lookup_chunks=chunks, loss_chunks=chunks), shape), shape=shape
            )
            for shape, chunks in SHAPES.items()
        ]
        for one in started:

            def ended(one: Wanted = one) -> bool:
                self._go_on(one)
                return self.runs.ended(one.analysis)

            # On a fresh machine the kernel's functions are compiled now.
            until(ended, what=f"the run of {one.shape} ends", seconds=REFERENCE_SECONDS)
            self.expected[one.shape] = self.digests(one.analysis)

    def start(self) -> None:
        """Start the next analysis, and see that its run is accepted."""
        shape = self._random.choice(list(SHAPES))
        way = self._random.choice(WAYS) if self._random.random() < MISBEHAVING_SHARE else ""
        cancelled = self._random.random() < CANCELLED_SHARE or way == HANG  # nothing else ends it
        after = self._random.uniform(0, CANCELLED_WITHIN_SECONDS)
        chunks = SHAPES[shape]
        priority = self._random.choice(PRIORITIES)
        portfolio = self.portfolios.get(way)
        analysis = self.runs.prepare(lookup_chunks=chunks, loss_chunks=chunks, priority=priority, portfolio=portfolio)
        one = Wanted(analysis=self._begun(analysis, shape), shape=shape, way=way)
        one.cancel_at = time.monotonic() + after if cancelled else None
        self.wanted.append(one)

    def cancel_what_is_due(self) -> None:
        """Cancel the analyses whose moment has come."""
        for one in self.wanted:
            if one.cancel_at is not None and time.monotonic() > one.cancel_at:
                one.cancelled = self._cancelled(one)
                one.cancel_at = None

    def digests(self, analysis: int) -> dict[str, str]:
        """Return the digest of each file of an analysis' results."""
        return {
            name: hashlib.sha256(content).hexdigest()
            for name, content in self.runs.outputs(analysis, self.folder).items()
        }

    def _locations(self, way: str) -> Path:
        """Write locations on which the model misbehaves."""
        header, *rows = self.runs.locations.read_text().splitlines()
        path = self.folder / f"{way}.csv"
        path.write_text("\n".join([f"{header},LocUserDef1", *(f"{row},{way}" for row in rows)]) + "\n")
        return path

    def go_on(self, waiting: Collection[int]) -> None:
        """Ask for the losses of those that have their inputs; V2 goes on by itself."""
        for one in self.wanted:
            if one.analysis in waiting:
                self._go_on(one)

    def _begun(self, analysis: int, shape: str) -> int:
        """Ask for inputs, of V2 for losses too, until the analysis shows that it was heard."""
        verb = "generate_inputs/?run_mode_override=V1" if shape == V1 else "generate_and_run/"
        self._ask(analysis, verb, while_it_is="NEW")
        return analysis

    def _go_on(self, one: Wanted) -> None:
        if one.shape == V1:
            self._ask(one.analysis, "run/?run_mode_override=V1", while_it_is="READY")

    def _ask(self, analysis: int, verb: str, *, while_it_is: str) -> None:
        while self.runs.status(analysis) == while_it_is:
            try:
                self.client.post_once(f"analyses/{analysis}/{verb}")
            except ServerRefused:
                # What seemed lost has been done: the answer was.
                assert self.runs.status(analysis) != while_it_is

    def _cancelled(self, one: Wanted) -> bool:
        """Cancel until it is; return False where the run was over first."""
        while not (status := self.runs.status(one.analysis)).endswith("_CANCELLED"):
            if status == "RUN_COMPLETED" or status.endswith("_ERROR"):
                return False
            self._go_on(one)
            try:
                self.client.post_once(f"analyses/{one.analysis}/cancel/")
            except ServerRefused:
                time.sleep(0.1)  # Between two halves, perhaps; or it has just ended.
        return True
