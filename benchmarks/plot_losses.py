"""Draws what `losses.py --save` has saved: how cost grows with locations, samples and chunks.

python benchmarks/losses.py --locations 10 1000 10000 100000 --save cost.jsonl
python benchmarks/plot_losses.py cost.jsonl docs/images/cost.svg
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

PANELS: Final = (("locations", {"chunks": 0, "samples": 10}), ("chunks", {"samples": 10, "locations": 10000}))
FIGURES: Final = (("cpu", "CPU-seconds"), ("wall", "seconds of wall time"))
WHO: Final = {"plain": ("oasislmf model run", "tab:gray"), "here": ("Qanat", "tab:blue")}


def main() -> None:
    """Draw a row of panels for what grows, a column for what it costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("saved", type=Path, help="what `losses.py --save` has written")
    parser.add_argument("target", type=Path, help="the SVG file")
    options = parser.parse_args()
    cases = [json.loads(line) for line in options.saved.read_text().splitlines()]
    figure, axes = plt.subplots(len(PANELS), len(FIGURES), figsize=(9, 6.5), layout="constrained", squeeze=False)
    for row, (grows, fixed) in zip(axes, PANELS, strict=True):
        chosen = sorted(
            (case for case in cases if all(case[name] == value for name, value in fixed.items())),
            key=lambda case: case[grows],
        )
        for panel, (cost, label) in zip(row, FIGURES, strict=True):
            draw(panel, chosen, grows=grows, cost=cost)
            panel.set_ylabel(label)
    figure.suptitle("PiWind, ground-up, insured and reinsured losses, all ORD outputs, two cores")
    mpl.rcParams["svg.hashsalt"] = "qanat"  # the same figures give the same file
    figure.savefig(options.target, metadata={"Date": None})


def draw(panel: Any, cases: Sequence[dict[str, Any]], *, grows: str, cost: str) -> None:  # noqa: ANN401 - no types
    """Draw one panel."""
    for who, (label, colour) in WHO.items():
        points = [(case[grows], case[cost][who]) for case in cases if case[cost][who] is not None]
        if points:
            panel.plot(*zip(*points, strict=True), marker="o", color=colour, label=label)
    if grows == "locations":
        panel.set_xscale("log")
        panel.set_yscale("log")
    else:
        panel.set_ylim(bottom=0)
        panel.set_xticks([case[grows] for case in cases], ["V1" if not case[grows] else case[grows] for case in cases])
    panel.set_xlabel(grows)
    panel.grid(visible=True, alpha=0.3)
    panel.legend()


if __name__ == "__main__":
    main()
