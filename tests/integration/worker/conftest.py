"""Runs of the demonstration model without a server, on warm workers."""

import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qanat.contract import labels
from qanat.contract.statuses import RunKind, RunMode
from qanat.demo.model import write_model
from qanat.demo.portfolio import DemoPortfolio, write_portfolio
from qanat.domain.run_plan import plan
from qanat.worker.identity import identify
from qanat.worker.local_run import run_plan
from qanat.worker.runners import Runners, runner_environment

Tables = dict[str, bytes]
Losses = Callable[..., Tables]


@pytest.fixture
def runners(tmp_path: Path) -> Iterator[Runners]:
    """Runners that fork, where that is possible."""
    runners = Runners(environment=runner_environment(tmp_path))
    yield runners
    runners.close()


@pytest.fixture
def portfolio(tmp_path: Path) -> DemoPortfolio:
    """A few locations."""
    return write_portfolio(tmp_path / "portfolio", locations=20)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The demonstration model's folder."""
    folder = tmp_path / "model"
    write_model(folder)
    return folder


@pytest.fixture
def losses(tmp_path: Path, portfolio: DemoPortfolio) -> Losses:
    """Run a model on the portfolio and return the result tables by name."""
    done: list[Path] = []

    def run(model: Path, runners: Runners, *, chunks: int | None = None, settings: Path | None = None) -> Tables:
        folder = tmp_path / f"run-{len(done)}"
        done.append(folder)
        mode = RunMode.V2 if chunks else RunMode.V1
        files = run_plan(
            plan(kind=RunKind.BOTH, mode=mode, lookup_chunks=chunks or 1, loss_chunks=chunks or 1),
            model=identify(model),
            inputs={
                labels.LOCATION: portfolio.location,
                labels.ACCOUNTS: portfolio.accounts,
                labels.REINSURANCE_INFO: portfolio.reinsurance_info,
                labels.REINSURANCE_SCOPE: portfolio.reinsurance_scope,
                labels.SETTINGS: settings or portfolio.settings,
            },
            directory=folder,
            runners=runners,
        )
        with tarfile.open(files[labels.OUTPUT]) as archive:
            suffixes = (".csv", ".parquet")
            found = {member.name: archive.extractfile(member) for member in archive if member.name.endswith(suffixes)}
            return {Path(name).name: stream.read() for name, stream in found.items() if stream is not None}

    return run


def change(path: Path, **values: object) -> None:
    """Set values of a JSON document."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
