"""What the database says, asked without the platform: PostgreSQL directly, in SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

RUNS = """
select run.id, run.analysis_id, run.kind, run.state, run.mode, run.error, analysis.status
from runs_run run left join analyses_analysis analysis on analysis.id = run.analysis_id
where run.analysis_id is not null order by run.id
"""
INPUTS_MADE = "inputs made"
ENDED = frozenset({"succeeded", "failed", "cancelled"})
STEPS = "select id, run_id, slug, state, queue, task, fence, parents_left, lease_until, server_side from runs_step"
EVENTS = """
select event.run_id, event.step_id, event.at, event.event, event.to_state, event.fence, event.detail, step.queue
from runs_event event left join runs_step step on step.id = event.step_id order by event.id
"""
WRONG_COUNTS = """
select step.id, step.run_id, step.slug, step.parents_left, count(parent.id) as unfinished
from runs_step step
left join runs_stepedge edge on edge.child_id = step.id
left join runs_step parent on parent.id = edge.parent_id and parent.state <> 'succeeded'
group by step.id having step.parents_left <> count(parent.id)
"""
OUT = """
select step.id, step.fence, step.queue, step.server_side from runs_step step join runs_run run on run.id = step.run_id
where step.state in ('ready', 'sent', 'running', 'succeeded') and run.state = 'active'
"""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A step that a worker had."""

    step_id: int
    run_id: int
    slug: str
    fence: int
    worker: str
    claimed: datetime
    ended: datetime | None
    how: str
    """The event that ended it; nothing where none has."""
    again: datetime | None
    """When somebody had the step again, or its run ended."""

    @property
    def pid(self) -> int:
        """The supervisor that had it; 0: a process of the server's."""
        parts = self.worker.rsplit("-", 2)
        return int(parts[1]) if len(parts) == 3 and parts[1].isdecimal() else 0


class Oracle:
    """Reads of the engine's tables; the database may be away."""

    def __init__(self, url: str) -> None:
        """Ask the database at an address."""
        self._url = url

    def rows(self, query: LiteralString) -> list[dict[str, Any]]:
        """Return the rows of a query.

        Raises:
            psycopg.OperationalError: the database is away.
        """
        with psycopg.connect(self._url, row_factory=dict_row, connect_timeout=5) as connection:
            return connection.execute(query).fetchall()

    def states(self) -> dict[int, str]:
        """Return the state of the latest run of each analysis; of none where the database is away.

        Of one whose run has made its inputs alone it is ``inputs made``.
        """
        try:
            rows = self.rows("select analysis_id, kind, state from runs_run where analysis_id is not null order by id")
        except psycopg.OperationalError:
            return {}
        return {
            row["analysis_id"]: INPUTS_MADE if (row["kind"], row["state"]) == ("inputs", "succeeded") else row["state"]
            for row in rows
        }

    def attempts(self) -> list[Attempt]:
        """Return all attempts, in the order in which they were claimed."""
        slugs = {row["id"]: row["slug"] for row in self.rows(STEPS)}
        by_step: dict[int, list[dict[str, Any]]] = {}
        ends: dict[int, datetime] = {}
        for event in self.rows(EVENTS):
            if event["step_id"] is not None:
                by_step.setdefault(event["step_id"], []).append(event)
            elif event["to_state"] in ENDED:
                ends[event["run_id"]] = event["at"]
        found = [
            attempt
            for step, events in by_step.items()
            for attempt in _attempts(slugs[step], events, run_ended=ends.get(events[0]["run_id"]))
        ]
        return sorted(found, key=lambda attempt: attempt.claimed)


def _attempts(slug: str, events: Sequence[Mapping[str, Any]], *, run_ended: datetime | None) -> list[Attempt]:
    found = []
    for place, event in enumerate(events):
        if event["event"] != "claimed":
            continue
        later = events[place + 1 :]
        end = next((one for one in later if one["event"] != "claimed"), None)
        again = next((one["at"] for one in later if one["event"] == "claimed"), run_ended)
        found.append(
            Attempt(
                step_id=event["step_id"],
                run_id=event["run_id"],
                slug=slug,
                fence=event["fence"],
                worker=event["detail"].get("worker", ""),
                claimed=event["at"],
                ended=end["at"] if end else None,
                how=end["event"] if end else "",
                again=again,
            )
        )
    return found
