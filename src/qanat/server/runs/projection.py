"""How the features above the engine learn what happens to a run: inside the transaction in which it happens.

The engine lies beneath what runs are of and must not import it; each kind of owner registers a projection when Django
starts.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol

from qanat.contract.statuses import OwnerKind, Phase
from qanat.server.runs.models import Run


@dataclass(frozen=True, kw_only=True)
class FileRef:
    """An object in storage and how it is called and typed; ``size`` in bytes."""

    key: str
    filename: str
    content_type: str
    size: int

    def as_json(self) -> dict[str, Any]:
        """Return the form in which rows keep it."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "FileRef":
        """Return the reference that ``as_json`` wrote; fields added later are ignored."""
        return cls(
            key=document["key"],
            filename=document["filename"],
            content_type=document["content_type"],
            size=document["size"],
        )


class RunProjection(Protocol):
    """What the feature that owns runs wants to know; every method runs in the engine's transaction."""

    def planned(self, *, run: Run, lookup_chunks: int | None, loss_chunks: int | None, now: datetime) -> None:
        """The steps of the run exist."""

    def picked_up(self, *, run: Run, phase: Phase, now: datetime) -> None:
        """Somebody has begun with the first step of the phase."""

    def made(self, *, run: Run, phase: Phase, outputs: Mapping[str, FileRef], now: datetime) -> None:
        """The phase is complete; ``outputs`` are its files by label."""

    def failed(self, *, run: Run, phase: Phase, no_keys: bool, outputs: Mapping[str, FileRef], now: datetime) -> None:
        """The run ended in error; ``outputs`` are the files that could be saved, by label."""

    def cancelled(self, *, run: Run, phase: Phase, now: datetime) -> None:
        """The run was cancelled."""

    def progressed(self, *, run: Run, events_done: int, events_total: int, now: datetime) -> None:
        """The losses of so many events of the whole run are done."""


class Nobody:
    """The projection while none is registered: an engine without analyses, as its own tests use it."""

    def planned(self, *, run: Run, lookup_chunks: int | None, loss_chunks: int | None, now: datetime) -> None:
        """Do nothing."""

    def picked_up(self, *, run: Run, phase: Phase, now: datetime) -> None:
        """Do nothing."""

    def made(self, *, run: Run, phase: Phase, outputs: Mapping[str, FileRef], now: datetime) -> None:
        """Do nothing."""

    def failed(self, *, run: Run, phase: Phase, no_keys: bool, outputs: Mapping[str, FileRef], now: datetime) -> None:
        """Do nothing."""

    def cancelled(self, *, run: Run, phase: Phase, now: datetime) -> None:
        """Do nothing."""

    def progressed(self, *, run: Run, events_done: int, events_total: int, now: datetime) -> None:
        """Do nothing."""


_registered: dict[OwnerKind, RunProjection] = {kind: Nobody() for kind in OwnerKind}


def register(kind: OwnerKind, projection: RunProjection) -> RunProjection:
    """Make ``projection`` the one that is told of the runs of a kind of owner; return the one before."""
    before = _registered[kind]
    _registered[kind] = projection
    return before


def of(run: Run) -> RunProjection:
    """Return who is to be told of a run."""
    return _registered[run.owner.kind]
