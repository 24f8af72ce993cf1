"""Stand-ins for stock workers beside a platform, and analyses for them to run."""

import csv
import io
import os
import signal
import subprocess
import sys
import tarfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from qanat.cli.client import Client
from tests.conftest import ROOT
from tests.waiting import until

MODES = ("v1", "v2")
LEASE_SECONDS = 6
FIRST = {"v1": "generate_input", "v2": "prepare_keys_file_chunk"}
LAST = {"v1": "run_analysis", "v2": "generate_losses_output"}
"""The tasks in which something happens."""
LOCATIONS = b"PortNumber,AccNumber,LocNumber,CountryCode,LocPerilsCovered,BuildingTIV,LocCurrency\n" + b"".join(
    f"1,A1,{number},GB,WTC,{1000 * number},GBP\n".encode() for number in range(1, 11)
)
LOSSES = {str(number): 100.0 * number for number in range(1, 11)}
"""What the stand-in's model makes of them."""
SETTINGS = {
    "model_supplier_id": "Stock",
    "model_name_id": "StandIn",
    "model_settings": {},
    "gul_output": True,
    "gul_summaries": [{"id": 1, "ord_output": {"plt_sample": True}}],
}


@dataclass
class StandIn:
    """A worker process of the stand-in."""

    mode: str
    broker: str
    folder: Path
    storage: dict[str, str]
    model: str = ""
    _process: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        self.model = self.model or f"Stock/StandIn{self.mode}/1"
        self.folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def queue(self) -> str:
        """Where it takes its messages."""
        return self.model.replace("/", "-") + ("-v2" if self.mode == "v2" else "")

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.folder / "worker.log"

    def start(self) -> None:
        """Start it."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("QANAT_", "DJANGO_"))},
            "PYTHONPATH": str(ROOT),
            "STAND_IN_BROKER": self.broker,
            "STAND_IN_MODE": self.mode,
            "STAND_IN_MODEL": self.model,
            "STAND_IN_WISHES": str(self.folder),
            "STAND_IN_RETRY_SECONDS": "0.5",
            **self.storage,
        }
        command = [sys.executable, "-m", "celery", "-A", f"tests.stock_worker.{self.mode}:app", "worker"]
        command += ["-Q", self.queue, "--concurrency", "2", "-l", "INFO", "-n", f"{self.mode}@%h"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def stop(self) -> None:
        """Stop it, if it lives."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=30)
            self._process = None

    def wait_for_death(self) -> None:
        """Wait until it has died of itself."""
        assert self._process is not None
        self._process.wait(timeout=60)
        self.stop()

    def wish(self, what: str, text: str = "") -> None:
        """Have it do something that the contract does not ask for."""
        (self.folder / what).write_text(text)

    def forget(self) -> None:
        """Take all wishes back."""
        for path in self.folder.iterdir():
            if path != self.log:
                path.unlink()

    def received(self, task: str) -> int:
        """Return how many messages of a task it has received."""
        return sum(f"Task {task}[" in line and "received" in line for line in self.log.read_text().splitlines())

    def is_waiting(self, task: str) -> bool:
        """Say whether it waits in a task."""
        return (self.folder / f"waiting-{task}").exists()


@dataclass
class Analyses:
    """Analyses of one portfolio with the stand-in's model."""

    client: Client
    folder: Path
    portfolio: int = 0
    models: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.portfolio = self.client.post("portfolios/", {"name": "stock"})["id"]
        file = self.folder / "location.csv"
        file.write_bytes(LOCATIONS)
        self.client.upload(f"portfolios/{self.portfolio}/location_file/", file)

    def model(self, worker: StandIn) -> int:
        """Return the model of a worker, once it has registered."""
        supplier, model, version = worker.model.split("/")
        identity = {"supplier_id": supplier, "model_id": model, "version_id": version}
        found = until(lambda: self.client.get("models/", **identity), what="the worker registers")
        return int(found[0]["id"])

    def create(self, worker: StandIn, *, chunks: int = 2) -> int:
        """Create an analysis with settings."""
        asked = {"name": "stock", "portfolio": self.portfolio, "model": self.model(worker)}
        analysis = int(self.client.post("analyses/", asked)["id"])
        self.client.post(f"analyses/{analysis}/settings/", SETTINGS)
        if worker.mode == "v2":
            options = {"fixed_lookup_chunks": chunks, "fixed_analysis_chunks": chunks}
            self.client.post(f"analyses/{analysis}/chunking_configuration/", options)
        return analysis

    def ask(self, analysis: int, what: str) -> None:
        """Ask for inputs or losses."""
        self.client.post(f"analyses/{analysis}/{what}/")

    def get(self, analysis: int) -> dict[str, Any]:
        """Return the analysis."""
        found: dict[str, Any] = self.client.get(f"analyses/{analysis}/")
        return found

    def reaches(self, analysis: int, status: str) -> dict[str, Any]:
        """Return the analysis once it has this status; any end that is another fails at once."""

        def reached() -> bool:
            now = self.get(analysis)["status"]
            ended = now.endswith(("_ERROR", "_CANCELLED", "_NO_KEYS")) or now in {"READY", "RUN_COMPLETED"}
            assert now == status or not ended, f"{now} rather than {status}: {self.tracebacks(analysis)}"
            return bool(now == status)

        until(reached, what=f"the analysis is {status}")
        return self.get(analysis)

    def run(self, analysis: int) -> dict[str, Any]:
        """Generate inputs and run, one after the other, and return the analysis."""
        self.ask(analysis, "generate_inputs")
        self.reaches(analysis, "READY")
        self.ask(analysis, "run")
        until(lambda: self.get(analysis)["status"] != "READY", what="the run begins")
        return self.reaches(analysis, "RUN_COMPLETED")

    def are_tidied_up(self) -> bool:
        """Say whether no sub-task of any analysis is left to be done."""
        left = [entry["status_count"]["TOTAL_IN_QUEUE"] for entry in self.client.get("analyses/")]
        return not any(left)

    def text(self, analysis: int, file: str) -> str:
        """Return a file of an analysis as text, empty where there is none."""
        path = self.client.download(f"analyses/{analysis}/{file}/", self.folder / f"{analysis}-{file}")
        return path.read_text() if path else ""

    def tracebacks(self, analysis: int) -> str:
        """Return what an analysis says of its failures."""
        files = ("input_generation_traceback_file", "run_traceback_file")
        return "\n".join(self.text(analysis, file) for file in files)

    def losses(self, analysis: int) -> dict[str, float]:
        """Return the losses by location."""
        path = self.client.download(f"analyses/{analysis}/output_file/", self.folder / f"{analysis}.tar.gz")
        assert path is not None
        with tarfile.open(path) as archive:
            stream = archive.extractfile("output/gul_S1.csv")
            assert stream is not None
            rows = csv.DictReader(io.StringIO(stream.read().decode()))
            return {row["loc_id"]: float(row["loss"]) for row in rows}
