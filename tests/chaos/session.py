"""A session of chaos: the platform comes up, analyses run while faults strike, and what came of it is judged."""

import contextlib
import json
import logging
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.chaos.cluster import Cluster
from tests.chaos.faults import Chaos
from tests.chaos.oracle import ENDED, EVENTS, INPUTS_MADE, RUNS, STEPS, Oracle
from tests.chaos.verdict import Verdict, judge
from tests.chaos.work import Work
from tests.waiting import NotInTime, until

AT_ONCE: Final = 6
LOOK_SECONDS: Final = 0.2
PROBLEMS_SHOWN: Final = 10
TELL_EVERY_SECONDS: Final = 5.0
CALM_SECONDS: Final = 180.0
"""How long all that is under way may take when the faults have stopped."""
LEFT_OVER_SECONDS: Final = 30.0
"""How long a worker has to clear up behind an attempt."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is done."""

    analyses: int
    interval: float
    """Between two faults, in seconds on average."""
    seed: int
    lease_seconds: int
    most_faults: int | None = None
    """None: as many as there is time for."""
    recovers_within: float | None = None
    """Seconds for 99 of 100 recoveries; None: however long they take."""
    kinds: tuple[str, ...] = ()
    """Of faults; none are all."""


def run(plan: Plan, *, tell: Callable[[str], None], keep: bool = False) -> Verdict:
    """Do it; where something is wrong, or ``keep``, all logs and tables stay in a folder that is named."""
    # PostgreSQL, which does not run as root, must get to it: what pytest gives is closed to others.
    folder = Path(tempfile.mkdtemp(prefix="qanat-chaos-"))
    tell(f"{plan.analyses} analyses, a fault every {plan.interval:g} s, seed {plan.seed}; logs in {folder}")
    verdict = None
    try:
        verdict = _run(plan, folder=folder, tell=tell)
        for kind, found in verdict.problems.items():
            for problem in found[:PROBLEMS_SHOWN]:
                tell(f"{kind}: {problem}")
    finally:
        if verdict is not None and verdict.good and not keep:
            shutil.rmtree(folder)
        else:
            tell(f"logs, faults and tables are in {folder}")
    return verdict


def _run(plan: Plan, *, folder: Path, tell: Callable[[str], None]) -> Verdict:
    with _ends_unsaid(), Cluster(folder=folder, lease_seconds=plan.lease_seconds) as cluster:
        cluster.wait_until_ready()
        with cluster.client() as client:
            oracle = Oracle(cluster.database.url)
            work = Work(client, folder / "results", seed=plan.seed)
            tell("each shape of analysis runs undisturbed ...")
            work.learn()
            chaos = Chaos(cluster, oracle, seed=plan.seed, only=plan.kinds)
            _disturb(plan, work=work, chaos=chaos, oracle=oracle, tell=tell)
            _wait_for_calm(work=work, oracle=oracle, tell=tell)
            left_over = _left_over(cluster)
            verdict = judge(
                oracle=oracle,
                work=work,
                faults=chaos.faults,
                left_over=left_over,
                limit=plan.recovers_within,
            )
            verdict.problems["not back"] = chaos.troubles
            _keep_evidence(folder, oracle=oracle, chaos=chaos, verdict=verdict)
    for line in ("", *_faults(chaos), *verdict.lines()):
        tell(line)
    return verdict


@contextlib.contextmanager
def _ends_unsaid() -> Iterator[None]:
    """Do not warn of processes that end: ends are what this is about."""
    logger = logging.getLogger("qanat.cli.up.keeper")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)  # the other tests of this process want to hear of them


def _disturb(plan: Plan, *, work: Work, chaos: Chaos, oracle: Oracle, tell: Callable[[str], None]) -> None:
    """Start all analyses, some at a time, while faults strike until the last few are under way."""
    moments = random.Random(plan.seed)  # noqa: S311 - to be repeated
    begun = told = time.monotonic()
    over = threading.Event()

    def strike() -> None:
        while not over.wait(moments.uniform(0.5, 1.5) * plan.interval):
            if len(chaos.faults) == plan.most_faults:
                return
            chaos.strike()

    striking = threading.Thread(target=strike, name="faults")
    striking.start()
    try:
        while True:
            states = oracle.states()
            work.go_on(_waiting(states))
            under_way = [one for one in work.wanted if states.get(one.analysis) not in ENDED]
            if len(work.wanted) < plan.analyses and len(under_way) < AT_ONCE:
                work.start()
                continue
            work.cancel_what_is_due()
            if time.monotonic() - told > TELL_EVERY_SECONDS:
                told = time.monotonic()
                tell(_progress(told - begun, work=work, chaos=chaos, under_way=len(under_way)))
            if len(work.wanted) == plan.analyses and len(under_way) <= AT_ONCE // 2:
                return
            time.sleep(LOOK_SECONDS)
    finally:
        over.set()
        striking.join()
        chaos.end()


def _wait_for_calm(*, work: Work, oracle: Oracle, tell: Callable[[str], None]) -> None:
    """Wait until all runs have ended, for as long as that may take."""

    def all_ended() -> bool:
        work.cancel_what_is_due()
        states = oracle.states()
        work.go_on(_waiting(states))
        return all(states.get(one.analysis) in ENDED for one in work.wanted) and not any(
            one.cancel_at for one in work.wanted
        )

    tell("the faults are over; what is under way may end ...")
    try:
        until(all_ended, what="all runs end", seconds=CALM_SECONDS)
    except NotInTime as late:
        tell(str(late))


def _waiting(states: Mapping[int, str]) -> list[int]:
    return [analysis for analysis, state in states.items() if state == INPUTS_MADE]


def _left_over(cluster: Cluster) -> list[str]:
    try:
        until(lambda: not cluster.left_over(), what="workers clear up", seconds=LEFT_OVER_SECONDS)
    except NotInTime:
        return cluster.left_over()
    return []


def _progress(seconds: float, *, work: Work, chaos: Chaos, under_way: int) -> str:
    latest = chaos.faults[-1] if chaos.faults else None
    last = f"; last: {latest.kind} {latest.victim}" if latest else ""
    return (
        f"{seconds:5.0f} s  {len(work.wanted) - under_way:3} of {len(work.wanted)} started ended, "
        f"{len(chaos.faults)} faults{last}"
    )


def _faults(chaos: Chaos) -> Sequence[str]:
    counts = chaos.counts()
    return [f"{'faults':24} {counts.total()}", *(f"  {kind:22} {times}" for kind, times in sorted(counts.items()))]


def _keep_evidence(folder: Path, *, oracle: Oracle, chaos: Chaos, verdict: Verdict) -> None:
    def keep(name: str, rows: object) -> None:
        (folder / f"{name}.json").write_text(json.dumps(rows, indent=1, default=str))

    keep("faults", [asdict(fault) for fault in chaos.faults])
    keep("problems", verdict.problems)
    keep("recoveries", [asdict(one) for one in sorted(verdict.recoveries, key=lambda one: -one.seconds)])
    for name, query in (("runs", RUNS), ("steps", STEPS), ("events", EVENTS)):
        keep(name, oracle.rows(query))
