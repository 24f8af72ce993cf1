"""``qanat up`` as a process of its own whose processes can be killed, and runs to kill them in."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

from qanat.cli.client import Client
from qanat.cli.run import connect, find_model
from qanat.cli.up.layout import Layout, read_json
from qanat.cli.up.platform import free_port
from qanat.demo import MODEL_ID, SUPPLIER_ID
from qanat.demo.portfolio import DemoPortfolio, write_portfolio
from tests.living import lives
from tests.waiting import until

HOST = "127.0.0.1"
LEASE_SECONDS = 4
LOCATIONS = 60
ROLES = ("api", "websocket", "monitor", "task-controller", "beat")
STEP_PROCESS = "run-step"
ZYGOTE = "qanat zygote"


@dataclass
class Up:
    """A platform in a data directory."""

    layout: Layout
    model: Path
    port: int = field(default_factory=lambda: free_port(HOST))
    websocket_port: int = field(default_factory=lambda: free_port(HOST))
    _process: "subprocess.Popen[bytes] | None" = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it is ready."""
        command = [sys.executable, "-m", "qanat.cli.main", "up", "--no-demo-model", "--model", str(self.model)]
        command += ["--data-dir", str(self.layout.root), "--port", str(self.port)]
        command += ["--websocket-port", str(self.websocket_port)]
        environment = {name: value for name, value in os.environ.items() if name != "QANAT_DATABASE_URL"}
        environment["QANAT_LEASE_SECONDS"] = str(LEASE_SECONDS)
        with (self.layout.root / "up.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        until(lambda: read_json(self.layout.running), what="the platform is ready")
        until(lambda: "Ready" in (self.layout.root / "up.log").read_text(), what="its models are registered")

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=60)

    def client(self) -> Client:
        """Return the first administrator, logged in."""
        return connect(server=None, user=None, password=None, data_dir=self.layout.root)

    def processes(self) -> list[psutil.Process]:
        """Return all that works for this platform, by its environment: itself, and whatever it has started."""
        found = {process.pid: process for process in psutil.process_iter() if self._is_ours(process)}
        for process in list(found.values()):
            with contextlib.suppress(psutil.Error):
                found |= {child.pid: child for child in process.children(recursive=True)}
        return list(found.values())

    def find(self, kind: str) -> list[psutil.Process]:
        """Return the processes of a kind, found by what process listings show: quickly, for a tool is soon gone."""
        return [one for one in psutil.process_iter() if kind_of(one) == kind and self._descends_from_us(one)]

    def kill(self, kind: str, *, unless: Callable[[], bool]) -> bool:
        """Kill -9 one kind of process as soon as there is one, unless something holds by then; say whether it did."""
        victims: list[psutil.Process] = []

        def found() -> bool:
            victims.extend(self.find(kind))
            return bool(victims) or unless()

        until(found, what=f"there is a process of kind {kind}", every=0.01)
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        return bool(victims)

    def kill_all(self) -> None:
        """Kill -9 everything at once, and with it what the victims start while they are found."""
        assert len(self.processes()) > len(ROLES)
        assert self._process is not None

        def dead() -> bool:
            victims = [victim for victim in self.processes() if lives(victim)]
            for victim in victims:
                with contextlib.suppress(psutil.NoSuchProcess):
                    victim.kill()
            return not victims

        until(dead, what="all are dead")
        self._process.wait(timeout=30)
        self._process = None
        self.layout.running.unlink()
        (self.layout.root / "up.log").unlink()

    def _descends_from_us(self, process: psutil.Process) -> bool:
        try:
            return any(self._is_ours(one) for one in (process, *process.parents()))
        except psutil.Error:
            return False

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            started_with = process.environ()
            line = process.cmdline()
        except (psutil.Error, OSError):
            return False
        root = str(self.layout.root)
        return (
            started_with.get("QANAT_DATA_DIR") == root
            or str(started_with.get("TMPDIR", "")).startswith(root)
            # The broker writes its title over its environment.
            or any(root in part or str(self.layout.runtime) in part for part in line)
        )


def kind_of(process: psutil.Process) -> str:  # noqa: PLR0911 - a table
    """Return what a process is."""
    try:
        comm = Path(f"/proc/{process.pid}/comm").read_text().strip()
    except OSError:
        return ""
    for role in ROLES:
        if comm == f"qanat {role}"[:15]:
            return role
    if comm in {STEP_PROCESS, ZYGOTE}:
        return comm
    if comm in {"gulmc", "fmpy", "evepy", "summarypy", "eltpy", "lecpy", "aalpy", "katpy", "pltpy", "modelpy"}:
        return "tool"
    try:
        line = " ".join(process.cmdline())
    except psutil.Error:
        return ""
    if "qanat.cli.main up" in line:
        return "up"
    if "qanat.server embedded" in line:
        return "server"
    if "qanat.worker " in f"{line} ":
        return "worker"
    return "broker" if "valkey" in line else ""


class Runs:
    """Runs of one small portfolio."""

    def __init__(self, client: Client, folder: Path) -> None:
        """Upload the portfolio."""
        self.client = client
        files = small(write_portfolio(folder / "portfolio", locations=LOCATIONS))
        self.settings = json.loads(files.settings.read_text())
        self.model = find_model(client, f"{SUPPLIER_ID}/{MODEL_ID}")["id"]
        self.locations = files.location
        self.portfolio = self.upload(files.location)

    def upload(self, locations: Path) -> int:
        """Make a portfolio of some locations; return its id."""
        portfolio = int(self.client.post("portfolios/", {"name": "faults"})["id"])
        self.client.upload(f"portfolios/{portfolio}/location_file/", locations)
        return portfolio

    def start(self, *, chunks: int = 2) -> int:
        """Start inputs of a new analysis in two chunks, and losses in so many; return its id."""
        analysis = self.prepare(loss_chunks=chunks)
        self.client.post(f"analyses/{analysis}/generate_and_run/")
        return analysis

    def prepare(
        self, *, lookup_chunks: int = 2, loss_chunks: int = 2, priority: int = 4, portfolio: int | None = None
    ) -> int:
        """Make a new analysis that can be started, of another portfolio if need be; return its id."""
        of = self.portfolio if portfolio is None else portfolio
        asked = {"name": "faults", "portfolio": of, "model": self.model, "priority": priority}
        analysis = int(self.client.post("analyses/", asked)["id"])
        self.client.post(f"analyses/{analysis}/settings/", self.settings)
        cut = {"fixed_lookup_chunks": lookup_chunks, "fixed_analysis_chunks": loss_chunks}
        self.client.post(f"analyses/{analysis}/chunking_configuration/", cut)
        return analysis

    def status(self, analysis: int) -> str:
        """Return the status."""
        return str(self.client.get(f"analyses/{analysis}/")["status"])

    def in_losses(self, analysis: int) -> bool:
        """Say whether a chunk of the losses is being computed; a run that is over never will."""
        assert self.status(analysis) != "RUN_COMPLETED", "the run was over before anything could be killed"
        steps = self.client.get(f"analyses/{analysis}/sub_task_list/")
        return any(step["status"] == "STARTED" and "losses-chunk" in step["slug"] for step in steps)

    def ended(self, analysis: int) -> bool:
        """Say whether the run has ended well; any other end is wrong at once."""
        status = self.status(analysis)
        assert not status.endswith(("_ERROR", "_CANCELLED")), self.story(analysis)
        return status == "RUN_COMPLETED"

    def outputs(self, analysis: int, folder: Path) -> dict[str, bytes]:
        """Return the tables of an analysis by name."""
        archive = self.client.download(f"analyses/{analysis}/output_file/", folder / f"{analysis}.tar.gz")
        assert archive is not None
        with tarfile.open(archive) as members:
            found = {member.name: members.extractfile(member) for member in members if member.isfile()}
            return {name: stream.read() for name, stream in found.items() if stream is not None}

    def retries(self, analysis: int) -> list[int]:
        """Return how often each step has been tried again."""
        return [int(step["retry_count"]) for step in self.client.get(f"analyses/{analysis}/sub_task_list/")]

    def logs(self, analysis: int) -> str:
        """Return what the sub-tasks that were tried again say of it."""
        found = []
        for step in self.client.get(f"analyses/{analysis}/sub_task_list/"):
            if step["retry_count"]:
                answer = self.client._http.get(f"v2/analysis-task-statuses/{step['id']}/retry_log/")
                found.append(answer.text)
        return "\n".join(found)

    def story(self, analysis: int) -> str:
        """Return what happened to each step, for a failed test's reader."""
        steps = self.client.get(f"analyses/{analysis}/sub_task_list/")
        return "\n".join(f"{step['slug']}: {step['status']}" for step in steps)


def small(portfolio: DemoPortfolio) -> DemoPortfolio:
    """Reduce the settings to the ground-up losses of the small event set: seconds rather than a minute."""
    settings = json.loads(portfolio.settings.read_text())
    settings["model_settings"]["event_set"] = "s"
    for name in list(settings):
        if name.startswith(("il_", "ri_")):
            del settings[name]
    portfolio.settings.write_text(json.dumps(settings))
    return portfolio


def wait(seconds: float) -> None:
    """Let time pass: the moment at which something happens is what the test is about."""
    threading.Event().wait(seconds)
