"""What does the first run after an installation cost, when nothing of the kernel has been compiled yet?

In turn, in one go, each with an empty folder for what numba compiles: plain `oasislmf model run`; `qanat worker warm`
and after it the run, as an image build would; a platform whose worker nobody has warmed, which compiles behind the run.
PiWind where it is there, else the demonstration model; ten locations, ten samples, all ORD outputs. Of each: wall and
processor time, and the ratio of the rival to ours. One round: nothing is first twice.

    python benchmarks/first_run.py
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from losses import (
    Case,
    Exposure,
    Figures,
    cpu_of_ended,
    given_or_demonstration,
    laptop,
    measured,
    memory_in_use,
    run_here,
    run_plain,
)

from qanat.cli.run import Wish

CASE: Final = Case(locations=10, samples=10, chunks=0)
CACHE: Final = "NUMBA_CACHE_DIR"


def warm() -> None:
    """Compile the kernel."""
    qanat = Path(sys.executable).with_name("qanat")
    subprocess.run([str(qanat), "worker", "warm"], check=True)


def run_on_a_new_platform(exposure: Exposure, wish: Wish, folder: Path) -> None:
    """Start a platform, run, and end the platform."""
    with laptop(exposure.model, folder / "platform") as (_, client):
        run_here(client, wish)


def with_an_empty_cache(folder: Path, *steps: Callable[[], None]) -> list[Figures]:
    """Do steps one after another, of which the first finds nothing compiled; return what each took."""
    folder.mkdir()
    os.environ[CACHE] = str(folder)
    return [measured(step, before=memory_in_use(), cpu_seconds=cpu_of_ended) for step in steps]


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory(prefix="qanat-bench-") as temporary:
        folder = Path(temporary)
        exposure = given_or_demonstration(folder)
        files, settings = exposure.of(CASE, folder / "exposure")
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

        def plain() -> None:
            run_plain(exposure, files, settings, folder / "plain")

        def here(name: str) -> Callable[[], None]:
            wish = Wish(model=exposure.name, files=dict(files), settings=settings, output=folder / name, v1=True)
            return lambda: run_on_a_new_platform(exposure, wish, folder / f"{name}-platform")

        [rival] = with_an_empty_cache(folder / "cache-of-plain", plain)
        found = {
            "plain": rival,
            **dict(
                zip(
                    ("qanat worker warm", "the first run after it"),
                    with_an_empty_cache(folder / "cache-of-warm", warm, here("after-warm")),
                    strict=True,
                )
            ),
            "the first run without": with_an_empty_cache(folder / "cache-of-cold", here("cold"))[0],
        }
        for name, figures in found.items():
            print(
                f"  {name:24} wall {figures.wall:7.1f} s, ratio {rival.wall / figures.wall:5.1f}"
                f"   cpu {figures.cpu:7.1f} s, ratio {rival.cpu / figures.cpu:5.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
