"""How much sooner, and for how much less processor time, does a model run here than with plain `oasislmf model run`?

Both run the same exposure and settings, in turn, in one go, on this machine: the plain command as a process of its own,
Qanat through its HTTP API, from the first upload to the results on disk. PiWind where it is there, else the
demonstration model; ground-up, insured and reinsured losses with all ORD outputs. Of each: wall time, processor time of
all processes, the largest memory of all of them together (what they share counts once) and how many processes and
threads the machine started. The idle platform beside it is not counted for the plain command. Each round is printed,
then medians and the ratio of the rival to ours.

    python benchmarks/losses.py --rounds 3 --locations 10 1000 10000 --samples 10 --chunks 0 1 4

Zero chunks is V1. Tables are compared with the rival's where it has numbered the items by location as Qanat does
(docs/decisions/0010-order-of-keys.md); else both draw other random numbers. They are the same byte for byte, but for
exceedance curves, whose last digit depends on the rival's number of processes (0032-order-of-events.md).
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import psutil

from qanat.cli.client import Client
from qanat.cli.run import Wish, connect, execute
from qanat.cli.up.layout import Layout
from qanat.cli.up.platform import Platform, free_port
from qanat.demo.model import write_model
from qanat.demo.portfolio import write_portfolio

HOST: Final = "127.0.0.1"
ROOT: Final = Path(__file__).resolve().parents[1]
LOOK_EVERY_SECONDS: Final = 0.1
MEGABYTE: Final = 2**20
FIELDS: Final = ("location_file", "accounts_file", "reinsurance_info_file", "reinsurance_scope_file")
CURVES: Final = ("_ept.csv", "_psept.csv")
SINGLE_PRECISION: Final = 1e-6
PLAIN_OPTIONS: Final = dict(zip(FIELDS, ("-x", "-y", "-i", "-s"), strict=True))


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is run."""

    locations: int
    samples: int
    chunks: int

    def __str__(self) -> str:
        mode = f"V2, {self.chunks} chunks" if self.chunks else "V1"
        return f"{self.locations:,} locations x {self.samples} samples, {mode}"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What it took."""

    wall: float
    cpu: float
    peak_memory: float
    started: int


@dataclass
class Exposure:
    """A model, and a portfolio of any size for it."""

    model: Path
    name: str
    files: dict[str, Path]
    settings: Path

    def of(self, case: Case, folder: Path) -> tuple[dict[str, Path], Path]:
        """Write the OED files and settings of a case; locations beyond those that there are come again."""
        folder.mkdir(parents=True, exist_ok=True)
        files = {field: Path(shutil.copy(path, folder)) for field, path in self.files.items()}
        with self.files["location_file"].open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        with files["location_file"].open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            for number in range(case.locations):
                row = rows[number % len(rows)]
                times = number // len(rows)
                writer.writerow(row if times == 0 else {**row, "LocNumber": f"{row['LocNumber']}{times:06d}"})
        settings = folder / "analysis_settings.json"
        settings.write_text(json.dumps({**json.loads(self.settings.read_text()), "number_of_samples": case.samples}))
        return files, settings


def piwind(folder: Path) -> Exposure:
    """PiWind's own portfolio, and settings with every ORD output."""
    names = ("SourceLocOEDPiWind10", "SourceAccOEDPiWind", "SourceReinsInfoOEDPiWind", "SourceReinsScopeOEDPiWind")
    files = dict(zip(FIELDS, (folder / "inputs" / f"{name}.csv" for name in names), strict=True))
    settings = folder / "settings" / "ORD_analysis_settings.json"
    return Exposure(folder / "model", "OasisLMF/PiWind", files, settings)


def demonstration(folder: Path) -> Exposure:
    """The demonstration model and portfolio."""
    write_model(folder / "model")
    made = write_portfolio(folder / "portfolio", locations=1000)
    paths = (made.location, made.accounts, made.reinsurance_info, made.reinsurance_scope)
    return Exposure(folder / "model", "Qanat/FloridaWind", dict(zip(FIELDS, paths, strict=True)), made.settings)


def given_or_demonstration(folder: Path) -> Exposure:
    """Return PiWind where it is there, else the demonstration model, written into ``folder``."""
    given = Path(os.environ.get("QANAT_PIWIND") or ROOT.parent / "shared" / "data" / "piwind")
    return piwind(given) if (given / "model").is_dir() else demonstration(folder / "demo")


@dataclass
class Watch:
    """Looks at the machine's memory while something runs."""

    before: int
    """Bytes that were in use before."""
    peak: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look until the block ends."""
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _look(self) -> None:
        while not self._ended.wait(LOOK_EVERY_SECONDS):
            self.peak = max(self.peak, memory_in_use() - self.before)


def memory_in_use() -> int:
    """Return how many bytes all processes of the machine have mapped: the sum of their shares (PSS), known at once.

    To ask each of some sixty processes for its share took a third of a core, in what was to be measured.
    """
    lines = Path("/proc/meminfo").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("AnonPages:", "Mapped:")))


def share_of_memory(pid: int) -> int:
    """Return a process' share of memory in bytes."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def descendants() -> list[psutil.Process]:
    """Return all processes that come from this one."""
    return psutil.Process().children(recursive=True)


def cpu_of_ended() -> float:
    """Return the processor time of the processes that this one has waited for, and of those they have waited for."""
    own = psutil.Process().cpu_times()
    return float(own.children_user + own.children_system)


def cpu_of_all() -> float:
    """Return the processor time of this process' descendants, living or waited for."""
    total = cpu_of_ended()
    for process in descendants():
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def started_so_far() -> int:
    """Return how many processes and threads the machine has started."""
    lines = Path("/proc/stat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("processes "))


def measured(run: Callable[[], None], *, before: int, cpu_seconds: Callable[[], float]) -> Figures:
    """Run and measure.

    Args:
        run: what is measured.
        before: bytes of memory that are not its.
        cpu_seconds: returns what its processes have used so far, and perhaps others.
    """
    watch = Watch(before)
    cpu, started, begun = cpu_seconds(), started_so_far(), time.monotonic()
    with watch.looking():
        run()
        wall = time.monotonic() - begun
    return Figures(
        wall=wall,
        cpu=cpu_seconds() - cpu,
        peak_memory=watch.peak / MEGABYTE,
        started=started_so_far() - started,
    )


def run_plain(exposure: Exposure, files: Mapping[str, Path], settings: Path, folder: Path) -> None:
    """Run the kernel's own command."""
    command = [str(Path(sys.executable).with_name("oasislmf")), "model", "run"]
    command += ["--config", str(exposure.model / "oasislmf.json"), "-a", str(settings), "-r", str(folder)]
    for name, path in files.items():
        command += [PLAIN_OPTIONS[name], str(path)]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]


def wish_of(exposure: Exposure, case: Case, files: Mapping[str, Path], settings: Path, *, output: Path) -> Wish:
    """Return what is asked of Qanat."""
    return Wish(
        model=exposure.name,
        files=dict(files),
        settings=settings,
        output=output,
        lookup_chunks=case.chunks or None,
        loss_chunks=case.chunks or None,
        v1=not case.chunks,
    )


@contextmanager
def laptop(model: Path, folder: Path) -> Iterator[tuple[Platform, Client]]:
    """Start what `qanat up` starts, on ports that are free, with its data in a folder; end it."""
    layout = Layout(folder)
    with (
        Platform(
            layout=layout, models=[model], host=HOST, port=free_port(HOST), websocket_port=free_port(HOST)
        ) as platform,
        connect(server=None, user=None, password=None, data_dir=layout.root) as client,
    ):
        yield platform, client


def run_here(client: Client, wish: Wish) -> None:
    """Run through the API."""
    execute(client, wish, quiet=True)


def numbered_by_location(plain: Path) -> bool:
    """Say whether the plain command got its keys, and so its items, in the order of the locations."""
    keys = pd.read_parquet(plain / "input" / "keys.parquet", columns=["LocID"])
    return bool(keys["LocID"].is_monotonic_increasing)


def same_tables(plain: Path, ours: Path) -> bool:
    """Say whether both made the same result tables."""
    names = sorted(path.name for path in (plain / "output").glob("*.csv"))
    return bool(names) and all(same_table(plain / "output" / name, ours / "output" / name) for name in names)


def same_table(plain: Path, ours: Path) -> bool:
    """Say whether a table is the same: byte for byte, or an exceedance curve as far as single precision goes."""
    if plain.read_bytes() == ours.read_bytes():
        return True
    if not plain.name.endswith(CURVES):
        return False
    one, other = pd.read_csv(plain), pd.read_csv(ours)
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=SINGLE_PRECISION, atol=0))


def compare(
    exposure: Exposure, cases: Sequence[Case], *, rounds: range, folder: Path, skip_plain: bool
) -> Iterator[dict[str, object]]:
    """Measure and print, a line a case as soon as it is known; yield the medians, in which round 0 does not count."""
    before = memory_in_use()
    with laptop(exposure.model, folder / "platform") as (_, client):
        # A worker that has just started imports the kernel, which it does once.
        small = Case(locations=10, samples=10, chunks=0)
        run_here(client, wish_of(exposure, small, *exposure.of(small, folder / "exposure"), output=folder / "warm"))
        for case in cases:
            files, settings = exposure.of(case, folder / "exposure")
            found: dict[str, list[Figures]] = {"plain": [], "here": []}
            for number in rounds:
                out = folder / f"run-{number}"
                if not skip_plain:
                    plain = measured(
                        partial(run_plain, exposure, files, settings, out / "plain"),
                        before=memory_in_use(),
                        cpu_seconds=cpu_of_ended,
                    )
                    found["plain"] += [plain] if number else []
                    tell(number, "plain", plain)
                wish = wish_of(exposure, case, files, settings, output=out / "here")
                here = measured(partial(run_here, client, wish), before=before, cpu_seconds=cpu_of_all)
                found["here"] += [here] if number else []
                tell(number, "here", here)
                comparable = not skip_plain and numbered_by_location(out / "plain")
                assert not comparable or same_tables(out / "plain", out / "here"), "the tables differ"
                shutil.rmtree(out)
            yield report(case, found)


def tell(number: int, who: str, figures: Figures) -> None:
    """Print a round: how far the machine is the same from one to the next shows in them."""
    print(f"  round {number}: {who:5} {figures.wall:6.1f} s, {figures.cpu:6.1f} CPU-s", flush=True)


def report(case: Case, found: Mapping[str, list[Figures]]) -> dict[str, object]:
    """Print the medians of a case and their ratios, and return them."""
    known: dict[str, object] = asdict(case)
    print(f"\n{case}")
    for name, unit in (("wall", "s"), ("cpu", "s"), ("peak_memory", "MB"), ("started", "")):
        plain, here = (
            statistics.median(getattr(figures, name) for figures in found[who]) if found[who] else float("nan")
            for who in ("plain", "here")
        )
        print(
            f"  {name:12} plain {plain:9.1f} {unit:2}  here {here:9.1f} {unit:2}  ratio {plain / here:6.1f}", flush=True
        )
        known[name] = {"plain": plain if found["plain"] else None, "here": here}
    return known


def main() -> None:
    """Read the options and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--locations", type=int, nargs="+", default=[10, 1000, 10000])
    parser.add_argument("--samples", type=int, nargs="+", default=[10])
    parser.add_argument("--chunks", type=int, nargs="+", default=[0])
    parser.add_argument("--caches-are-full", action="store_true", help="leave out the round that fills them")
    parser.add_argument("--here-only", action="store_true", help="leave the rival out")
    parser.add_argument("--save", type=Path, help="add the medians to a file, a line a case (plot_losses.py)")
    options = parser.parse_args()
    cases = [
        Case(locations=locations, samples=samples, chunks=chunks)
        for locations in options.locations
        for samples in options.samples
        for chunks in options.chunks
    ]
    with tempfile.TemporaryDirectory(prefix="qanat-bench-") as temporary:
        folder = Path(temporary)
        exposure = given_or_demonstration(folder)
        print(f"{exposure.name}, {os.cpu_count()} cores, {options.rounds} rounds")
        rounds = range(1 if options.caches_are_full else 0, options.rounds + 1)
        for known in compare(exposure, cases, rounds=rounds, folder=folder, skip_plain=options.here_only):
            if options.save is not None:
                with options.save.open("a") as lines:
                    lines.write(json.dumps({"model": exposure.name, **known}) + "\n")


if __name__ == "__main__":
    main()
