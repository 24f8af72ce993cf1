"""The kernel's input files depend on the exposure alone: not on chunks, cores or luck."""

import tarfile
from pathlib import Path

import pytest

from qanat.contract import labels
from qanat.contract.statuses import RunKind, RunMode
from qanat.demo.model import write_model
from qanat.demo.portfolio import write_portfolio
from qanat.domain.run_plan import plan
from qanat.worker.identity import identify
from qanat.worker.local_run import run_plan
from qanat.worker.runners import Runners

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LOCATIONS = 2500
"""From two thousand on, the kernel would share a lookup among its own processes."""


def input_tables(runners: Runners, folder: Path, *, mode: RunMode, chunks: int) -> dict[str, bytes]:
    """Generate inputs; return what the random numbers of the losses depend on."""
    portfolio = write_portfolio(folder / "portfolio", locations=LOCATIONS)
    write_model(folder / "model")
    files = run_plan(
        plan(kind=RunKind.INPUTS, mode=mode, lookup_chunks=chunks, loss_chunks=1),
        model=identify(folder / "model"),
        inputs={labels.LOCATION: portfolio.location, labels.SETTINGS: portfolio.settings},
        directory=folder / "run",
        runners=runners,
    )
    with tarfile.open(files[labels.INPUT]) as archive:
        found = {name: archive.extractfile(name) for name in ("items.bin", "coverages.bin", "correlations.bin")}
        return {name: stream.read() for name, stream in found.items() if stream is not None}


def test_items_are_numbered_alike_however_the_lookup_is_cut(runners: Runners, tmp_path: Path) -> None:
    whole = input_tables(runners, tmp_path / "whole", mode=RunMode.V1, chunks=1)

    in_three = input_tables(runners, tmp_path / "in-three", mode=RunMode.V2, chunks=3)

    assert len(whole["items.bin"]) > LOCATIONS
    assert whole == in_three
