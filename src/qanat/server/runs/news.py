"""What has happened since somebody last looked: the event table as a stream.

Numbers are given when a transaction writes and seen when it commits, so a lower one may appear after a higher one.
Whoever remembered only the highest would miss it; a ``Cursor`` remembers the numbers that it has not seen, too, until
it is clear that they were never committed.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db.models import Max, Q

from qanat.server.runs.models import Event

AT_ONCE: Final = 5_000
"""Events that are read in one look; what is more is read in the next."""
MOST_MISSING: Final = 1_000
RECENT: Final = 200
"""Events among which a cursor that begins looks for missing numbers."""
GIVEN_UP_AFTER_SECONDS: Final = 60.0
"""A number that has not appeared for so long was rolled back or deleted: our transactions take far less."""
COLUMNS: Final = (
    "pk",
    "at",
    "event",
    "to_state",
    "run_id",
    "run__kind",
    "run__analysis_id",
    "run__portfolio_id",
    "step_id",
    "step__slug",
)


@dataclass(frozen=True, kw_only=True)
class Happening:
    """An event, and whose it is."""

    number: int
    at: datetime
    change: str
    """What happened, in the engine's words."""
    state: str
    """What the step, or else the run, is at after it."""
    run_id: int
    kind: str
    analysis_id: int | None
    portfolio_id: int | None
    step_id: int | None
    slug: str | None


def latest() -> int:
    """Return the number of the latest event, 0 where there is none."""
    return Event.objects.aggregate(latest=Max("pk"))["latest"] or 0


def since(number: int, *, missing: Collection[int] = (), limit: int = AT_ONCE) -> list[Happening]:
    """Return the events after one, and those of ``missing`` that have appeared, in the order of their numbers."""
    wanted = Q(pk__gt=number) | Q(pk__in=missing) if missing else Q(pk__gt=number)
    rows = Event.objects.filter(wanted).order_by("pk").values_list(*COLUMNS)[:limit]
    return [_happening(*row) for row in rows]


def _happening(*row: Any) -> Happening:  # noqa: ANN401 - columns
    number, at, change, state, run_id, kind, analysis_id, portfolio_id, step_id, slug = row
    return Happening(
        number=number,
        at=at,
        change=change,
        state=state,
        run_id=run_id,
        kind=kind,
        analysis_id=analysis_id,
        portfolio_id=portfolio_id,
        step_id=step_id,
        slug=slug,
    )


@dataclass
class Cursor:
    """Where a reader is; it is given each event once."""

    latest: int
    missing: dict[int, float] = field(default_factory=dict)
    """Numbers below the latest that have not appeared, and when that was noticed, in seconds."""

    @classmethod
    def at_end(cls, *, seconds: float) -> "Cursor":
        """Return a cursor that has seen all there is; numbers before it may still appear."""
        numbers = set(Event.objects.order_by("-pk").values_list("pk", flat=True)[:RECENT])
        missing = set(range(min(numbers), max(numbers))) - numbers if numbers else set()
        return cls(latest=max(numbers, default=0), missing=dict.fromkeys(sorted(missing)[-MOST_MISSING:], seconds))

    @property
    def settled(self) -> int:
        """The number up to which nothing new will appear: to go on after it repeats events, and leaves none out."""
        return min(self.missing, default=self.latest + 1) - 1

    def take(self, *, seconds: float) -> list[Happening]:
        """Return what is new; ``seconds`` is a clock that never goes back."""
        self.missing = {n: since for n, since in self.missing.items() if seconds - since < GIVEN_UP_AFTER_SECONDS}
        found = since(self.latest, missing=self.missing)
        if found:
            self._note([happening.number for happening in found], seconds=seconds)
        return found

    def _note(self, numbers: list[int], *, seconds: float) -> None:
        before, self.latest = self.latest, max(self.latest, numbers[-1])
        for number in numbers:
            self.missing.pop(number, None)
        new = set(range(max(before, self.latest - MOST_MISSING) + 1, self.latest)) - set(numbers)
        self.missing |= dict.fromkeys(new, seconds)
