"""A step of whose pipelines a process was lost is given up and tried again, whoever was lost."""

import os
import sys
from pathlib import Path

import pytest

from qanat.contract import labels, tasks
from qanat.contract.statuses import FailureClass, RunKind, RunMode
from qanat.demo.portfolio import DemoPortfolio
from qanat.domain.run_plan import plan
from qanat.worker import deadlock
from qanat.worker.identity import identify
from qanat.worker.local_run import run_plan
from qanat.worker.runners import Runners, runner_environment
from qanat.worker.settings import WorkerSettings
from qanat.worker.supervisor import Supervisor
from tests.integration.worker.conftest import change
from tests.unit.worker.twin import Twin

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="what processes wait for is seen on Linux only"),
]
GULCALC = """#!/bin/sh
mkfifo losses_$2
sh -c 'mkdir {folder}/lost 2>/dev/null && kill -9 $$
evepy "$1" "$2" | gulmc --random-generator=2 --vuln-cache-size 200 -S10 -L0 -a1 >losses_$1' sh "$2" "$3" &
cat losses_$2
"""
"""A loss tool of a model's own, of two processes; the first of all is killed before it opens the pipe between them."""


@pytest.fixture
def frail_model(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model whose loss tool loses a process in its first run."""
    tools = tmp_path / "tools"
    tools.mkdir()
    gulcalc = tools / "vendor_gulcalc"
    gulcalc.write_text(GULCALC.format(folder=tools))
    gulcalc.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    change(model / "oasislmf.json", model_custom_gulcalc="vendor_gulcalc")
    return model


def test_a_step_goes_to_another_attempt_where_its_tools_wait_for_one_that_was_killed(
    tmp_path: Path, frail_model: Path, portfolio: DemoPortfolio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlock, "STUCK_SECONDS", 1)
    runners = Runners(environment=runner_environment(tmp_path))
    inputs = run_plan(
        plan(kind=RunKind.INPUTS, mode=RunMode.V1, lookup_chunks=1, loss_chunks=1),
        model=identify(frail_model),
        inputs={labels.LOCATION: portfolio.location, labels.SETTINGS: portfolio.settings},
        directory=tmp_path / "inputs",
        runners=runners,
    )
    archive, settings = inputs[labels.INPUT], portfolio.settings
    server = Twin(
        task=tasks.RUN_ANALYSIS,
        inputs={
            labels.INPUT: (archive.name, "application/gzip", archive.read_bytes()),
            labels.SETTINGS: (settings.name, "application/json", settings.read_bytes()),
        },
    )
    supervisor = Supervisor(
        settings=WorkerSettings(model_dir=frail_model, work_dir=tmp_path / "work"),
        model=identify(frail_model),
        server=server,
        runners=runners,
    )
    try:
        supervisor.run(step_id=1, fence=1)
        supervisor.run(step_id=1, fence=2)
    finally:
        supervisor.drain()

    [failure] = server.failed
    assert failure["failure_class"] == FailureClass.WORKER_LOST
    [commit] = server.committed
    assert commit["fence"] == 2
