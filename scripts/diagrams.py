"""Draw the tables in the code into the pages of docs/reference, or check that they are drawn there as they are.

Between a pair of markers in a page, ``<!-- NAME: drawn -->`` and ``<!-- NAME: end -->``, stands what this writes; the
rest of the page is written by hand.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import settings_page

from qanat.contract.statuses import AnalysisStatus, RunKind, RunMode, StepState
from qanat.domain import analysis_status, run_plan, step_state
from qanat.server.counting import counters
from qanat.server.probes import gauges

PAGES = Path(__file__).resolve().parent.parent / "docs" / "reference"
CHUNKS = 2
Pair = TypeVar("Pair", bound=tuple[str, str])
"""State and event."""


def state_diagram(transitions: Mapping[Pair, str], *, first: str) -> str:
    """Return a Mermaid state diagram of a table; events between the same two states share an arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, event), after in transitions.items():
        arrows.setdefault((before, after), []).append(event)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    lines += [f"    {before} --> {after}: {', '.join(events)}" for (before, after), events in arrows.items()]
    lines += [f"    {final} --> [*]" for final in _finals(transitions)]
    return "\n".join([*lines, "```"])


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    cells = [list(head), ["---"] * len(list(head)), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def plan_table(mode: RunMode) -> str:
    """Return the sub-tasks of a run that makes inputs and losses."""
    plan = run_plan.plan(kind=RunKind.BOTH, mode=mode, lookup_chunks=CHUNKS, loss_chunks=CHUNKS)
    return table(
        ("stage", "sub-task", "Celery task", "done by", "reads", "writes"),
        (
            (
                str(number),
                step.slug,
                f"`{step.task}`",
                "worker monitor" if step.server_side else "model worker",
                _labels(step.reads),
                _labels(step.writes),
            )
            for number, stage in enumerate(plan.stages, start=1)
            for step in stage
        ),
    )


def drawings() -> dict[str, dict[str, str]]:
    """Return every drawing by its page and the name of its markers."""
    return {"statuses.md": _of_statuses(), "configuration.md": _of_configuration(), "metrics.md": _of_metrics()}


def _of_configuration() -> dict[str, str]:
    without = ("section", "names", "why")
    return {
        **{
            name: table(settings_page.SETTINGS, settings_page.settings_rows(kind))
            for name, kind in settings_page.KINDS.items()
        },
        "needless": table(without, settings_page.unused_rows(yet=False)),
        "missing": table(without, settings_page.unused_rows(yet=True)),
        "others": table(("variable", "what it is"), settings_page.other_rows()),
    }


def _of_metrics() -> dict[str, str]:
    head = ("name", "labels", "what it is")
    counted = (
        (f"`{metric.name}{'_total' if metric.type == 'counter' else ''}`", _labels(labels), metric.documentation)
        for metric, labels in counters.described()
    )
    return {
        "gauges": table(head, ((f"`{gauge.name}`", _labels(gauge.labels), gauge.about) for gauge in gauges.ALL)),
        "counters": table(head, counted),
    }


def _of_statuses() -> dict[str, str]:
    return {
        "analysis": state_diagram(analysis_status.TRANSITIONS, first=AnalysisStatus.NEW),
        "step": state_diagram(step_state.TRANSITIONS, first=StepState.WAITING),
        "shown": table(
            ("state of the step", "status that clients see"),
            ((f"`{state}`", f"`{shown}`") for state, shown in step_state.SHOWN_AS.items()),
        ),
        "plan-v1": plan_table(RunMode.V1),
        "plan-v2": plan_table(RunMode.V2),
    }


def drawn(path: Path, drawings: Mapping[str, str]) -> str:
    """Return a page with every drawing as the tables are now.

    Raises:
        LookupError: the page has no place for a drawing.
    """
    page = path.read_text()
    for name, drawing in drawings.items():
        between = re.compile(rf"(<!-- {name}: drawn -->\n).*?(<!-- {name}: end -->)", re.DOTALL)
        if not between.search(page):
            message = f"{path.name} has no markers for '{name}': add <!-- {name}: drawn --> and <!-- {name}: end -->."
            raise LookupError(message)
        page = between.sub(lambda match, text=drawing: f"{match[1]}\n{text}\n\n{match[2]}", page)  # type: ignore[misc]
    return page


def _finals(transitions: Mapping[Pair, str]) -> list[str]:
    starts = {before for before, _ in transitions}
    return [state for state in dict.fromkeys(transitions.values()) if state not in starts]


def _labels(labels: Iterable[str]) -> str:
    return ", ".join(f"`{label}`" for label in labels) or "-"


def main() -> int:
    """Do as told on the command line and return the exit status."""
    parser = argparse.ArgumentParser(description="Draw the tables in the code into the docs.")
    parser.add_argument("--check", action="store_true", help="only say whether they are drawn as they are")
    arguments = parser.parse_args()
    wanted = {PAGES / name: drawn(PAGES / name, of_page) for name, of_page in drawings().items()}
    different = [path for path, text in wanted.items() if path.read_text() != text]
    if arguments.check:
        for path in different:
            print(f"{path.name} differs from the tables in the code: run `make docs`.")
        return int(bool(different))
    for path in different:
        path.write_text(wanted[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
