"""Reads average annual losses and exceedance curves from an analysis' output archive, of any model.

The tables are those of the Open Results Data standard: PALT (average losses) and EPT (exceedance curves), of summary
set 1, whole portfolio.
"""

import csv
import io
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PERSPECTIVES: Final = {
    "gul": ("Ground-up", "Ground-up"),
    "il": ("Insured", "Insured"),
    "ri": ("Net of reinsurance", "Net"),
}
SAMPLE_MEAN: Final = "2"
"""PALT's SampleType for the mean of the samples; 1 is the mean of the distributions."""
FULL_UNCERTAINTY: Final = "2"
"""EPT's EPCalc for full uncertainty."""
WHOLE: Final = "1"
"""SummaryId of the only summary of a set without groups: the whole portfolio."""
CURVES: Final = {"1": "oep", "3": "aep"}
"""EPT's EPType: occurrence and aggregate exceedance probability; 2 and 4 are the tail values."""


class NoLosses(Exception):
    """The archive has no table that losses could be read from."""


@dataclass(frozen=True, kw_only=True)
class Perspective:
    """Losses from one point of view, in the currency of the portfolio."""

    name: str
    short: str
    """For narrow columns."""
    average_annual_loss: float | None
    oep: dict[float, float] = field(default_factory=dict)
    """Return period in years -> loss of the worst event of a year."""
    aep: dict[float, float] = field(default_factory=dict)
    """Return period in years -> loss of all events of a year."""


@dataclass(frozen=True, kw_only=True)
class LossSummary:
    """Losses by perspective: ``gul``, ``il``, ``ri``."""

    perspectives: dict[str, Perspective]


def read_losses(archive: Path) -> LossSummary:
    """Read the losses of an output archive.

    Raises:
        NoLosses: it is no archive, or has neither PALT nor EPT tables of summary set 1.
    """
    try:
        with tarfile.open(archive) as tar:
            tables = {Path(member.name).name: member for member in tar if member.isfile()}
            found = {}
            for name, titles in PERSPECTIVES.items():
                averages = list(_rows(tar, tables.get(f"{name}_S1_palt.csv")))
                points = list(_rows(tar, tables.get(f"{name}_S1_ept.csv")))
                if averages or points:
                    found[name] = _perspective(titles, averages, points)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        message = f"{archive} cannot be read as an output archive: {error}"
        raise NoLosses(message) from error
    except (KeyError, ValueError) as error:
        message = f"{archive} has tables that are not those of the Open Results Data standard: {error}"
        raise NoLosses(message) from error
    if not found:
        message = (
            f"{archive} has no average losses or exceedance curves of summary set 1: ask for alt_period and ept in the "
            "analysis settings."
        )
        raise NoLosses(message)
    return LossSummary(perspectives=found)


def _perspective(titles: tuple[str, str], averages: list[dict[str, str]], points: list[dict[str, str]]) -> Perspective:
    by_type: dict[str, float] = {}
    for row in averages:
        if row["SummaryId"] == WHOLE:
            by_type[row["SampleType"]] = float(row["MeanLoss"])
    curves: dict[str, dict[float, float]] = {"oep": {}, "aep": {}}
    for row in points:
        curve = CURVES.get(row["EPType"])
        if curve and row["EPCalc"] == FULL_UNCERTAINTY and row["SummaryId"] == WHOLE:
            curves[curve][float(row["ReturnPeriod"])] = float(row["Loss"])
    return Perspective(
        name=titles[0],
        short=titles[1],
        average_annual_loss=by_type.get(SAMPLE_MEAN, by_type.get("1")),
        oep=curves["oep"],
        aep=curves["aep"],
    )


def _rows(tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> Iterator[dict[str, str]]:
    stream = tar.extractfile(member) if member else None
    if stream is not None:
        yield from csv.DictReader(io.TextIOWrapper(stream, encoding="utf-8"))
