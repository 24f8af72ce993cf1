"""Does a worker leak? Runs one after the other through the API, and what the worker is after each.

Memory of the worker and of its warm processes (each process' share, PSS), their open files, and whatever a run may have
left: processes, folders and pipes. Memory is compared from the tenth run on, when all caches are filled; what is left
is compared with what was there after the first. PiWind where it is there, else the demonstration model.

    python benchmarks/endurance.py --runs 100
"""

import argparse
import stat
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from losses import MEGABYTE, Case, descendants, given_or_demonstration, laptop, run_here, share_of_memory

from qanat.cli.run import Wish
from qanat.cli.up.layout import Layout

SETTLED_AFTER: Final = 10
FLAT: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class State:
    """What there is after a run."""

    worker: float
    """Bytes of the supervisor."""
    zygotes: float
    """Bytes of the processes that it forks from."""
    files: int
    processes: int
    folders: int
    pipes: int


def look(layout: Layout) -> State:
    """Look at the platform's worker and at what lies around."""
    everybody = descendants()
    workers = [process for process in everybody if "qanat.worker" in process.cmdline()]
    zygotes = [process for process in everybody if "qanat.worker.zygote" in process.cmdline()]
    left = list(layout.work.rglob("*"))
    return State(
        worker=sum(share_of_memory(process.pid) for process in workers),
        zygotes=sum(share_of_memory(process.pid) for process in zygotes),
        files=sum(process.num_fds() for process in (*workers, *zygotes)),
        processes=len(everybody) + sum(map(_left_alone, psutil.process_iter())),
        folders=sum(path.is_dir() for path in left),
        pipes=sum(stat.S_ISFIFO(path.lstat().st_mode) for path in left),
    )


def _left_alone(process: psutil.Process) -> bool:
    """Say whether a process has lost its parent and lives; those that have ended the system buries by and by."""
    try:
        return process.ppid() == 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def main() -> None:
    """Run, look, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qanat-endurance-") as temporary:
        folder = Path(temporary)
        exposure = given_or_demonstration(folder)
        files, settings = exposure.of(Case(locations=10, samples=10, chunks=0), folder / "exposure")
        states: list[State] = []
        with laptop(exposure.model, folder / "platform") as (platform, client):
            for number in range(options.runs):
                chunks = 2 if number % 2 else None
                output = folder / f"run-{number}"
                run_here(
                    client,
                    Wish(
                        model=exposure.name,
                        files=dict(files),
                        settings=settings,
                        output=output,
                        lookup_chunks=chunks,
                        loss_chunks=chunks,
                        v1=chunks is None,
                    ),
                )
                states.append(look(platform.layout))
                print(f"{number + 1:4} {states[-1]}", flush=True)
    report(states)


def report(states: list[State]) -> None:
    """Print how memory went, and what is left."""
    for name in ("worker", "zygotes"):
        sizes = [getattr(state, name) / MEGABYTE for state in states[SETTLED_AFTER:]]
        middle = statistics.median(sizes)
        spread = max(abs(size - middle) for size in sizes) / middle
        verdict = "flat" if spread <= FLAT else "not flat"
        print(
            f"{name:8} {sizes[0]:7.1f} MB first, {middle:7.1f} median, {sizes[-1]:7.1f} last: {verdict}, {spread:.1%}"
        )
    for name in ("files", "processes", "folders", "pipes"):
        print(f"{name:10} {getattr(states[0], name)} after the first run, {getattr(states[-1], name)} after the last")


if __name__ == "__main__":
    main()
