"""What came of it: whether every run ended once and with the right numbers, and how soon lost steps went on."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from qanat.contract.statuses import FailureClass
from qanat.domain.retries import MODEL_ATTEMPTS, WORKERS_KILLED
from tests.chaos.faults import Fault
from tests.chaos.oracle import EVENTS, RUNS, STEPS, WRONG_COUNTS, Attempt, Oracle
from tests.chaos.work import Wanted, Work

OUTAGES: Final = frozenset({"database lost", "broker lost"})
LEGAL: Final = {
    "succeeded": ("RUN_COMPLETED",),
    "failed": ("INPUTS_GENERATION_ERROR", "RUN_ERROR"),
    "cancelled": ("INPUTS_GENERATION_CANCELLED", "RUN_CANCELLED"),
}
"""What an analysis may show when its run has ended so."""


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """How long it took from a fault until what it had cost was taken up again."""

    what: str
    """An attempt that was lost, or a queue that stood still."""
    fault: Fault | None
    seconds: float


@dataclass(kw_only=True)
class Verdict:
    """What is wrong, by kind, and how long recovery took."""

    analyses: int
    ended: Counter[str]
    problems: dict[str, list[str]] = field(default_factory=dict)
    recoveries: list[Recovery] = field(default_factory=list)
    limit: float | None
    """Seconds for 99 of 100 recoveries."""

    @property
    def longest(self) -> Recovery | None:
        """The longest recovery."""
        return max(self.recoveries, key=lambda one: one.seconds, default=None)

    @property
    def p99(self) -> float:
        """How long 99 of 100 lost attempts took at most, in seconds."""
        seconds = sorted(one.seconds for one in self.recoveries)
        return seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))] if seconds else 0.0

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.problems.values()) and (self.limit is None or self.p99 <= self.limit)

    def lines(self) -> list[str]:
        """Return the table."""
        rows = [("analyses", str(self.analyses)), *((f"  {state}", str(n)) for state, n in sorted(self.ended.items()))]
        rows += [(kind, str(len(found))) for kind, found in self.problems.items()]
        rows.append(("recoveries", str(len(self.recoveries))))
        longest = self.longest
        if longest is not None:
            by = longest.fault.kind if longest.fault else "no fault known"
            rows.append(("longest recovery", f"{longest.seconds:.1f} s ({longest.what}, {by})"))
        bound = "" if self.limit is None else f" (at most {self.limit:.0f} s)"
        rows.append(("recovery, p99", f"{self.p99:.1f} s{bound}"))
        return [f"{name:24} {value}" for name, value in rows]


def judge(*, oracle: Oracle, work: Work, faults: Sequence[Fault], left_over: list[str], limit: float | None) -> Verdict:
    """Look at everything, when nothing is under way any more."""
    runs = oracle.rows(RUNS)
    attempts = oracle.attempts()
    by_analysis = {run["analysis_id"]: run for run in runs}
    events = oracle.rows(EVENTS)
    steps = oracle.rows(STEPS)
    verdict = Verdict(
        analyses=len(work.wanted),
        ended=Counter(by_analysis[one.analysis]["state"] for one in work.wanted if one.analysis in by_analysis),
        limit=limit,
    )
    verdict.problems = {
        "lost": _lost(work.wanted, by_analysis),
        "stuck": [f"run {run['id']}: {run['state']}" for run in runs if run["state"] in {"submitted", "active"}],
        "duplicated": _duplicated(events),
        "wrong outputs": list(_wrong(work, by_analysis)),
        "wrong end": list(_ended_wrongly(work.wanted, by_analysis, attempts, faults)),
        "illegal status": list(_illegal(by_analysis)),
        "after the end": _after_the_end(events),
        "parents miscounted": [str(row) for row in oracle.rows(WRONG_COUNTS)],
        "running without lease": [str(s) for s in steps if s["state"] == "running" and s["lease_until"] is None],
        "left over": left_over,
        "errors of the API": work.client.errors,
    }
    verdict.recoveries = [*of_attempts(attempts, faults), *of_queues(events, faults)]
    return verdict


def of_attempts(attempts: Iterable[Attempt], faults: Sequence[Fault]) -> Iterator[Recovery]:
    """Say of each attempt that was lost how long it took until its step was claimed again, or its run ended.

    It counts from the first fault that hit the attempt or its worker; where none did, from the last before it was given
    up; and from when PostgreSQL and RabbitMQ were back, where one of them was away after that.
    """
    for attempt in attempts:
        if attempt.how != "handed back" or attempt.again is None or attempt.ended is None:
            continue
        fault = _cause(attempt, attempt.ended, faults)
        start = max(fault.at, attempt.claimed) if fault is not None else attempt.ended
        start = _when_back(start, attempt.again, faults)
        yield Recovery(
            what=f"{attempt.slug} of run {attempt.run_id}, fence {attempt.fence}",
            fault=fault,
            seconds=(attempt.again - start).total_seconds(),
        )


def of_queues(events: Sequence[dict[str, Any]], faults: Sequence[Fault]) -> Iterator[Recovery]:
    """Say of each queue whose steps waited, with nobody at work, how long it stood still when RabbitMQ was back."""
    for fault in faults:
        if fault.kind != "broker lost" or fault.until is None:
            continue
        state: dict[int, tuple[str, str]] = {}
        for event in events:
            if event["at"] <= fault.until and event["queue"]:
                state[event["step_id"]] = (event["queue"], event["to_state"])
        waiting = {queue for queue, is_so in state.values() if is_so in {"ready", "sent"}}
        at_work = {queue for queue, is_so in state.values() if is_so == "running"}
        for queue in waiting - at_work:
            claims = (e["at"] for e in events if e["queue"] == queue and e["event"] == "claimed")
            again = next((at for at in claims if at > fault.until), None)
            if again is not None:
                start = _when_back(fault.until, again, faults)
                yield Recovery(what=f"queue {queue}", fault=fault, seconds=(again - start).total_seconds())


def _cause(attempt: Attempt, lost: datetime, faults: Sequence[Fault]) -> Fault | None:
    during = [one for one in faults if one.at <= lost and (one.until is None or one.until >= attempt.claimed)]
    own = [one for one in during if _hits(one, attempt)]
    if own:
        return own[0]
    return next((one for one in reversed(during) if one.hit is None), None)


def _hits(fault: Fault, attempt: Attempt) -> bool:
    hit = fault.hit
    if hit is None:
        return False
    if hit.pid:
        return hit.pid == attempt.pid
    return (hit.run_id, hit.slug, hit.fence) == (attempt.run_id, attempt.slug, attempt.fence)


def _when_back(start: datetime, again: datetime, faults: Sequence[Fault]) -> datetime:
    for fault in faults:
        if fault.kind in OUTAGES and fault.until is not None and fault.until > start and fault.at < again:
            start = min(fault.until, again)
    return start


def _lost(wanted: Iterable[Wanted], by_analysis: dict[int, dict[str, Any]]) -> list[str]:
    return [f"analysis {one.analysis} has no run" for one in wanted if one.analysis not in by_analysis]


def _duplicated(events: Iterable[dict[str, Any]]) -> list[str]:
    commits = Counter(event["step_id"] for event in events if event["event"] == "committed")
    twice = [f"step {step}: committed {times} times" for step, times in commits.items() if times > 1]
    ends = Counter(event["run_id"] for event in events if event["step_id"] is None and event["to_state"] in LEGAL)
    return twice + [f"run {run}: ended {times} times" for run, times in ends.items() if times > 1]


def _wrong(work: Work, by_analysis: dict[int, dict[str, Any]]) -> Iterable[str]:
    for one in work.wanted:
        if by_analysis.get(one.analysis, {}).get("state") != "succeeded":
            continue
        found, expected = work.digests(one.analysis), work.expected[one.shape]
        if found != expected:
            names = [name for name in {*found, *expected} if found.get(name) != expected.get(name)]
            yield f"analysis {one.analysis} ({one.shape}): {', '.join(sorted(names)) or 'nothing came'}"


def _ended_wrongly(
    wanted: Iterable[Wanted],
    by_analysis: dict[int, dict[str, Any]],
    attempts: Sequence[Attempt],
    faults: Sequence[Fault],
) -> Iterable[str]:
    for one in wanted:
        run = by_analysis.get(one.analysis)
        if run is None or run["state"] in {"submitted", "active"}:
            continue
        if run["state"] == one.end or _was_given_up(run, attempts, faults):
            continue
        yield f"analysis {one.analysis} ({one.shape}, {one.way}): {run['state']}, not {one.end}: {run['error']}"


def _was_given_up(run: dict[str, Any], attempts: Iterable[Attempt], faults: Sequence[Fault]) -> bool:
    """Say whether a run has failed by a rule, as it does where a step of it was hit so often.

    One that loses three workers is set aside. A tool that is killed may have the next one in its pipeline fail
    first, which nobody can tell from a mistake of the model's: twice is final.
    """
    if run["state"] != "failed":
        return False
    causes = [
        _cause(one, one.ended, faults)
        for one in attempts
        if (one.run_id, one.slug) == (run["id"], run["error"].get("step")) and one.ended is not None
    ]
    if run["error"]["class"] == FailureClass.WORKER_LOST:
        return sum(cause is not None for cause in causes) >= WORKERS_KILLED
    tools = sum(cause is not None and cause.kind == "kill tool" for cause in causes)
    return run["error"]["class"] == FailureClass.MODEL and tools >= MODEL_ATTEMPTS


def _illegal(by_analysis: dict[int, dict[str, Any]]) -> Iterable[str]:
    for run in by_analysis.values():
        if run["state"] in LEGAL and run["status"] not in LEGAL[run["state"]]:
            yield f"analysis {run['analysis_id']}: {run['status']}, and its run is {run['state']}"


def _after_the_end(events: Iterable[dict[str, Any]]) -> list[str]:
    ended: dict[int, str] = {}
    found = []
    for event in events:
        if event["step_id"] is None and event["to_state"] in LEGAL:
            ended[event["run_id"]] = event["to_state"]
        elif event["run_id"] in ended:
            found.append(f"run {event['run_id']} was {ended[event['run_id']]}; then {event}")
    return found
