"""Any process can be killed at any moment, and every run still ends, once, with the right numbers."""

import functools
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qanat.cli.client import ServerRefused
from qanat.cli.up.layout import Layout
from tests.acceptance.faults import ROLES, STEP_PROCESS, Runs, Up, wait
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("faults")]

KINDS = (*ROLES, "broker", "server", "worker", "qanat zygote", STEP_PROCESS, "tool")
CANCELLED_WITHIN_SECONDS = 15.0


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, demo_model: Path) -> Iterator[Up]:
    """A platform that a test may do violence to."""
    layout = Layout(tmp_path_factory.mktemp("faults"))
    with Up(layout=layout, model=demo_model) as up:
        yield up


@pytest.fixture(scope="module")
def runs(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Runs on it."""
    with up.client() as client:
        yield Runs(client, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def undisturbed(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of a run that nobody disturbed."""
    analysis = runs.start()
    # On a fresh machine the kernel's functions are compiled now.
    until(lambda: runs.ended(analysis), what="the undisturbed run ends", seconds=600)
    tables = runs.outputs(analysis, tmp_path_factory.mktemp("undisturbed"))
    assert tables
    return tables


@pytest.fixture(scope="module")
def seconds(undisturbed: dict[str, bytes], runs: Runs) -> float:
    """How long a run takes when the worker is warm."""
    assert undisturbed
    started = time.monotonic()
    analysis = runs.start()
    until(lambda: runs.ended(analysis), what="a second run ends")
    return time.monotonic() - started


def disturbed(runs: Runs, up: Up, kind: str) -> int:
    """Kill a kind of process while losses of a new run are under way, or of another where they were over by then."""
    while True:
        analysis = runs.start()
        until(functools.partial(runs.in_losses, analysis), what="losses are under way")
        if up.kill(kind, unless=functools.partial(runs.ended, analysis)):
            return analysis


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_outlives_the_death_of(
    kind: str, up: Up, runs: Runs, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    analysis = disturbed(runs, up, kind)

    until(lambda: runs.ended(analysis), what="the run ends")
    assert runs.outputs(analysis, tmp_path) == undisturbed


def test_a_run_outlives_the_death_of_all_at_once(
    up: Up, runs: Runs, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    analysis = runs.start()
    until(lambda: runs.in_losses(analysis), what="losses are under way")

    up.kill_all()
    up.start()

    until(lambda: runs.ended(analysis), what="the run ends")
    assert runs.outputs(analysis, tmp_path) == undisturbed


def cancelled_on_its_way(runs: Runs, after: float) -> int:
    """Cancel a new run after so many seconds, or of another one sooner where it was done by then; return its id."""
    while True:
        analysis = runs.start()
        wait(after)
        try:
            runs.client.post(f"analyses/{analysis}/cancel/")
        except ServerRefused:
            assert runs.ended(analysis)
            after /= 2
        else:
            return analysis


@pytest.mark.parametrize("number", range(10))
def test_cancelling_at_any_moment_is_seen_at_once_and_leaves_no_process(
    number: int, up: Up, runs: Runs, seconds: float
) -> None:
    analysis = cancelled_on_its_way(runs, random.Random(number).uniform(0, 0.8) * seconds)  # noqa: S311 - a moment

    status = runs.status(analysis)
    assert status in {"INPUTS_GENERATION_CANCELLED", "RUN_CANCELLED"}
    until(
        lambda: not up.find(STEP_PROCESS) and not up.find("tool") and not list(up.layout.work.glob("run-*")),
        what="nothing of the run is left",
        seconds=CANCELLED_WITHIN_SECONDS,
    )
    assert runs.status(analysis) == status
