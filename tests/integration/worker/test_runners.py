"""A forked runner and one that is started afresh do the same."""

import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from qanat.contract import labels, tasks
from qanat.contract.statuses import RunKind, RunMode
from qanat.demo.model import write_model
from qanat.demo.portfolio import DemoPortfolio, write_portfolio
from qanat.domain.run_plan import plan
from qanat.worker.runners import LOST, FromZygote, Runners, Spawned
from qanat.worker.supervisor import runner_environment
from tests.acceptance.faults import small
from tests.integration.worker.harness import run_plan

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="runners are forked on Linux only"),
]
LIGHT = tasks.COLLECT_KEYS


@pytest.fixture
def runners() -> Iterator[Runners]:
    """Runners that fork."""
    runners = Runners(environment=runner_environment())
    yield runners
    runners.close()


@pytest.fixture
def portfolio(tmp_path: Path) -> DemoPortfolio:
    """A few locations."""
    return small(write_portfolio(tmp_path / "portfolio", locations=20))


def losses(portfolio: DemoPortfolio, folder: Path, *, fork: bool) -> dict[str, bytes]:
    """Run inputs and losses as V1 does; return the result tables."""
    model = folder / "model"
    write_model(model)
    runners = Runners(environment=runner_environment(), fork=fork)
    try:
        files = run_plan(
            plan(kind=RunKind.BOTH, mode=RunMode.V1, lookup_chunks=1, loss_chunks=1),
            model_dir=model,
            inputs={labels.LOCATION: portfolio.location, labels.SETTINGS: portfolio.settings},
            directory=folder / "run",
            runners=runners,
        )
    finally:
        runners.close()
    with tarfile.open(files[labels.OUTPUT]) as archive:
        found = {member.name: archive.extractfile(member) for member in archive if member.name.endswith(".csv")}
        return {name: stream.read() for name, stream in found.items() if stream is not None}


def begin(runners: Runners, task: str, folder: Path) -> FromZygote | Spawned:
    """Start a runner on a step that it will refuse, for there is no spec: what matters is who runs it."""
    folder.mkdir()
    (folder / "tmp").mkdir()
    runner = runners.start(task, folder / "spec.json", log=folder / "log.txt", temporary=folder / "tmp")
    assert isinstance(runner, FromZygote | Spawned)
    return runner


def test_losses_are_the_same_forked_or_not(portfolio: DemoPortfolio, tmp_path: Path) -> None:
    forked = losses(portfolio, tmp_path / "forked", fork=True)
    fresh = losses(portfolio, tmp_path / "fresh", fork=False)

    assert forked
    assert forked == fresh


def test_what_needs_the_kernel_is_forked_in_a_session_of_its_own(runners: Runners, tmp_path: Path) -> None:
    runner = begin(runners, tasks.GENERATE_INPUT, tmp_path / "step")

    assert isinstance(runner, FromZygote)
    ended = runner.wait()
    runner.close()
    assert ended.exit_code == 1
    assert "spec.json" in (tmp_path / "step" / "log.txt").read_text()


def test_what_needs_no_kernel_does_not_wait_for_it(runners: Runners, tmp_path: Path) -> None:
    runner = begin(runners, LIGHT, tmp_path / "step")

    assert isinstance(runner, Spawned)
    runner.wait()
    runner.close()


def test_a_zygote_that_died_is_replaced(runners: Runners, tmp_path: Path) -> None:
    first = begin(runners, tasks.GENERATE_INPUT, tmp_path / "first")
    first.wait()
    first.close()
    zygotes = [child for child in psutil.Process().children() if "qanat.worker.zygote" in child.cmdline()]
    for zygote in zygotes:
        zygote.kill()
        os.waitid(os.P_PID, zygote.pid, os.WEXITED | os.WNOWAIT)

    second = begin(runners, tasks.GENERATE_INPUT, tmp_path / "second")

    assert len(zygotes) == 1
    assert second.wait() != LOST
    second.close()
