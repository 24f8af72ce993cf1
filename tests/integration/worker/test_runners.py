"""A forked runner and one that is started afresh do the same; and how long the processes live that are forked from."""

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from qanat.contract import tasks
from qanat.demo.portfolio import DemoPortfolio
from qanat.worker import zygotes
from qanat.worker.runners import Runners, Spawned, runner_environment
from qanat.worker.zygotes import LOST, FromZygote
from tests.integration.worker.conftest import Losses
from tests.living import lives

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="runners are forked on Linux only"),
]
LIGHT = tasks.COLLECT_KEYS
Eventually = Callable[[Callable[[], object]], None]


def begin(runners: Runners, task: str, folder: Path) -> FromZygote | Spawned:
    """Start a runner on a step that it will refuse, for there is no spec: what matters is who runs it."""
    folder.mkdir()
    (folder / "tmp").mkdir()
    runner = runners.start(task, folder / "spec.json", log=folder / "log.txt", temporary=folder / "tmp")
    assert isinstance(runner, FromZygote | Spawned)
    return runner


def see_through(runner: FromZygote | Spawned) -> int:
    """Wait for a runner's end; return its exit code."""
    try:
        return runner.wait().exit_code
    finally:
        runner.close()


def warm_processes() -> list[psutil.Process]:
    """Return the parents that runners of this process are forked from."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
            if "qanat.worker.zygote" in child.cmdline():
                found.append(child)
    return found


@pytest.mark.parametrize(("parquet", "cuts"), [(False, [None, 1, 3, 8]), (True, [None, 2])], ids=["csv", "parquet"])
def test_losses_are_the_same_forked_or_not_and_however_they_are_cut(
    portfolio: DemoPortfolio,
    tmp_path: Path,
    model: Path,
    runners: Runners,
    losses: Losses,
    *,
    parquet: bool,
    cuts: list[int | None],
) -> None:
    wanted = json.loads(portfolio.settings.read_text())
    for perspective in ("gul", "il", "ri"):
        for summary in wanted[f"{perspective}_summaries"]:
            summary["ord_output"] = {**summary["ord_output"], "parquet_format": parquet}
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(wanted))
    afresh = Runners(environment=runner_environment(tmp_path), fork=False)

    expected = losses(model, afresh, settings=settings)

    assert {Path(name).suffix for name in expected} == {".parquet" if parquet else ".csv"}
    for chunks in cuts:
        found = losses(model, runners, settings=settings, chunks=chunks)
        assert found.keys() == expected.keys()
        for name, table in expected.items():
            assert found[name] == table, (name, chunks)


def test_what_needs_the_kernel_is_forked_in_a_session_of_its_own(runners: Runners, tmp_path: Path) -> None:
    runner = begin(runners, tasks.GENERATE_INPUT, tmp_path / "step")

    assert isinstance(runner, FromZygote)
    assert see_through(runner) == 1
    assert "spec.json" in (tmp_path / "step" / "log.txt").read_text()


def test_what_needs_no_kernel_does_not_wait_for_it(runners: Runners, tmp_path: Path) -> None:
    runner = begin(runners, LIGHT, tmp_path / "step")

    assert isinstance(runner, Spawned)
    see_through(runner)


@pytest.mark.parametrize("which", ["the one with the tools", "the one with the kernel"])
def test_a_zygote_that_died_is_replaced(runners: Runners, tmp_path: Path, eventually: Eventually, which: str) -> None:
    see_through(begin(runners, tasks.GENERATE_INPUT, tmp_path / "first"))
    (parent,) = warm_processes()
    victim = parent if which == "the one with the tools" else parent.children()[0]
    both = [parent, *parent.children()]

    victim.kill()

    eventually(lambda: not any(map(lives, both)))
    second = begin(runners, tasks.GENERATE_INPUT, tmp_path / "second")
    assert second.wait() != LOST
    second.close()


def test_a_zygote_that_is_worn_is_replaced_while_steps_go_on(
    runners: Runners, tmp_path: Path, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zygotes, "MOST_FORKS", 2)
    held = begin(runners, tasks.GENERATE_INPUT, tmp_path / "held")
    (first,) = warm_processes()
    steps = iter(range(10_000))

    def another_took_over() -> bool:
        see_through(begin(runners, tasks.GENERATE_INPUT, tmp_path / f"step-{next(steps)}"))
        return any(child.pid != first.pid for child in warm_processes()) and (first in warm_processes())

    eventually(another_took_over)
    held.wait()
    held.close()

    def the_first_has_gone() -> bool:
        see_through(begin(runners, tasks.GENERATE_INPUT, tmp_path / f"step-{next(steps)}"))
        return first not in warm_processes()

    eventually(the_first_has_gone)


def test_a_zygote_that_nobody_needs_is_ended(tmp_path: Path, eventually: Eventually) -> None:
    runners = Runners(environment=runner_environment(tmp_path), warm_seconds=0.2)
    runner = begin(runners, tasks.GENERATE_INPUT, tmp_path / "step")
    assert isinstance(runner, FromZygote)
    see_through(runner)

    eventually(lambda: not warm_processes())
    runners.close()


def test_nothing_is_left_of_many_steps(runners: Runners, model: Path, losses: Losses, eventually: Eventually) -> None:
    losses(model, runners)
    (parent,) = warm_processes()
    heavy = next(child for child in parent.children() if child.children() == [])
    every = (psutil.Process(), parent, heavy)
    eventually(lambda: parent.children(recursive=True) == [heavy])
    before = [process.num_fds() for process in every]

    for _ in range(3):
        losses(model, runners)

    # A fork may be gone before its parent has let go of what it held for it.
    eventually(lambda: parent.children(recursive=True) == [heavy])
    eventually(lambda: all(process.num_fds() <= then for process, then in zip(every, before, strict=True)))
