"""How losses are printed."""

from typing import Any

from rich.console import Console
from rich.table import Table

from qanat.demo.results import LossSummary

MILLIONS_FROM = 1e7
RETURN_PERIODS = (2, 5, 10, 25, 50, 100, 200, 250, 500, 1000, 5000, 10000)

NOTHING = "-"


def show_losses(console: Console, losses: LossSummary) -> None:
    """Print average annual losses and the exceedance curves at the usual return periods."""
    averages = Table(title="Average annual loss", title_justify="left")
    averages.add_column("Perspective")
    averages.add_column("Loss", justify="right")
    for perspective in losses.perspectives.values():
        average = perspective.average_annual_loss
        averages.add_row(perspective.name, NOTHING if average is None else f"{average:,.0f}")
    console.print(averages)
    largest = max((max(p.aep.values(), default=0.0) for p in losses.perspectives.values()), default=0.0)
    unit, label = (1e6, ", millions") if largest >= MILLIONS_FROM else (1.0, "")
    curves = Table(title=f"Exceedance: loss at return period{label}", title_justify="left")
    curves.add_column("Years", justify="right")
    for perspective in losses.perspectives.values():
        curves.add_column(f"{perspective.short}\nOEP", justify="right")
        curves.add_column(f"{perspective.short}\nAEP", justify="right")
    for years in RETURN_PERIODS:
        cells = []
        for perspective in losses.perspectives.values():
            cells += [_amount(perspective.oep.get(years), unit), _amount(perspective.aep.get(years), unit)]
        if any(cell != NOTHING for cell in cells):
            curves.add_row(f"{years:,}", *cells)
    if curves.row_count:
        console.print(curves)


def summary_as_json(losses: LossSummary) -> dict[str, Any]:
    """Return losses for scripts."""
    return {
        key: {
            "average_annual_loss": perspective.average_annual_loss,
            "oep": {str(years): loss for years, loss in perspective.oep.items()},
            "aep": {str(years): loss for years, loss in perspective.aep.items()},
        }
        for key, perspective in losses.perspectives.items()
    }


def _amount(loss: float | None, unit: float) -> str:
    if loss is None:
        return NOTHING
    return f"{loss / unit:,.2f}" if unit > 1 else f"{loss:,.0f}"
