"""``qanat run``: a model on OED files, on any server, with progress by sub-task."""

import json
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from qanat.cli.client import Client
from qanat.cli.errors import CommandFailed
from qanat.cli.show import show_losses, summary_as_json
from qanat.cli.up.layout import Layout, default_data_dir, read_json
from qanat.demo.results import LossSummary, NoLosses, read_losses

console = Console(highlight=False)

SHORTEST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0
PAUSE_SHARE = 0.05
"""Between two looks at a run: this share of how long it has taken so far."""
LASTING_SECONDS = 2.0
"""Shorter than this nobody wants to hear of: workers and controllers take their moment."""
TRACEBACK_LINES = 25
WAITING = ""
"""Name of the bar that stands for a run whose sub-tasks are not known yet."""
DOWNLOADS = {
    "output_file": "output.tar.gz",
    "input_file": "input.tar.gz",
    "run_log_file": "logs.tar.gz",
    "settings_file": "analysis_settings.json",
    "lookup_errors_file": "keys-errors.csv",
    "summary_levels_file": "exposure_summary_levels.json",
}
MODEL_PARTS = ("supplier_id", "model_id", "version_id")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What to run."""

    model: str
    """Id, or SUPPLIER/MODEL[/VERSION]."""
    files: Mapping[str, Path | None]
    """OED files by the name of their endpoint."""
    settings: Path | None
    output: Path
    lookup_chunks: int | None = None
    loss_chunks: int | None = None
    v1: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of it."""

    analysis_id: int
    files: dict[str, Path]
    seconds: float
    losses: LossSummary | None
    inputs_seconds: float = 0.0
    steps: list[dict[str, Any]] = field(default_factory=list)


def run(wish: Wish, *, client: Client, as_json: bool) -> None:
    """Run and print.

    Raises:
        CommandFailed: with what went wrong and what to do.
    """
    outcome = execute(client, wish, quiet=as_json)
    if as_json:
        print(json.dumps(outcome_as_json(outcome)))  # noqa: T201 - for scripts
        return
    if outcome.losses:
        show_losses(console, outcome.losses)
    console.print(f"Done in {outcome.seconds:.1f} s. Files:")
    for path in outcome.files.values():
        console.print(f"  {path}")


def connect(*, server: str | None, user: str | None, password: str | None, data_dir: Path | None) -> Client:
    """Log in: to the server given, else to this machine's platform with its own credentials.

    Raises:
        CommandFailed: there is none, or it refuses.
    """
    layout = Layout((data_dir or default_data_dir()).resolve())
    # This machine's credentials are for this machine's platform alone.
    known = {} if server else read_json(layout.admin)
    url = server or read_json(layout.running).get("url")
    if url is None:
        message = f"No platform runs from {layout.root}: start one with `qanat up`, or give --server URL."
        raise CommandFailed(message)
    username = user or known.get("username")
    secret = password or (known.get("password") if username == known.get("username") else None)
    if not username or not secret:
        message = "Give --user and --password (or QANAT_USER and QANAT_PASSWORD) for this server."
        raise CommandFailed(message)
    client = Client(url)
    client.login(username, secret)
    return client


def execute(client: Client, wish: Wish, *, quiet: bool = False) -> Outcome:
    """Upload, run, wait, download; Ctrl-C cancels the analysis.

    Raises:
        CommandFailed: the run failed; the message has the reason and the end of the traceback file.
    """
    started = time.monotonic()
    _require_files(wish)
    model = find_model(client, wish.model)
    portfolio = client.post("portfolios/", {"name": f"qanat run {time.strftime('%Y-%m-%d %H:%M:%S')}"})
    for name, path in wish.files.items():
        if path is not None:
            client.upload(f"portfolios/{portfolio['id']}/{name}/", path)
    analysis = client.post("analyses/", {"name": portfolio["name"], "portfolio": portfolio["id"], "model": model["id"]})
    identifier = int(analysis["id"])
    if wish.settings is not None:
        client.post(f"analyses/{identifier}/settings/", _document(wish.settings))
    if wish.lookup_chunks or wish.loss_chunks:
        chunks = {"fixed_lookup_chunks": wish.lookup_chunks or 1, "fixed_analysis_chunks": wish.loss_chunks or 1}
        client.post(f"analyses/{identifier}/chunking_configuration/", chunks)
    try:
        with _progress(quiet) as progress:
            steps = list(
                _run_phases(client, identifier, wish, v2=model["run_mode"] == "V2" and not wish.v1, bar=progress)
            )
    except KeyboardInterrupt:
        client.post(f"analyses/{identifier}/cancel/")
        message = f"Analysis {identifier} was cancelled."
        raise CommandFailed(message) from None
    files = _download(client, identifier, wish.output)
    return Outcome(
        analysis_id=identifier,
        files=files,
        seconds=time.monotonic() - started,
        losses=_losses(files),
        steps=steps,
    )


def outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome for scripts."""
    return {
        "analysis": outcome.analysis_id,
        "seconds": round(outcome.seconds, 2),
        "files": {name: str(path) for name, path in outcome.files.items()},
        "losses": summary_as_json(outcome.losses) if outcome.losses else None,
    }


def find_model(client: Client, wanted: str) -> dict[str, Any]:
    """Return the model of an id or of SUPPLIER/MODEL[/VERSION].

    Raises:
        CommandFailed: there is none, or more than one.
    """
    models: list[dict[str, Any]] = client.get("models/")
    parts = wanted.split("/")
    found = [
        model
        for model in models
        if wanted == str(model["id"])
        or (len(parts) > 1 and all(model[name] == part for name, part in zip(MODEL_PARTS, parts, strict=False)))
    ]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{m['id']}: {m['supplier_id']}/{m['model_id']}/{m['version_id']}" for m in models) or "none"
    problem = "is not known here" if not found else "is more than one model; add its version"
    message = f"The model '{wanted}' {problem}. Models of this server: {known}."
    raise CommandFailed(message)


def _run_phases(
    client: Client, identifier: int, wish: Wish, *, v2: bool, bar: Progress | None
) -> Iterator[dict[str, Any]]:
    """Run inputs, then losses where there are settings; yield the sub-tasks in their last state."""
    override = "?run_mode_override=V1" if wish.v1 else ""
    phases = [(f"generate_inputs/{override}", ("READY",))]
    if wish.settings is not None:
        phases.append((f"run/{override}", ("RUN_COMPLETED",)))
    for action, ends in phases:
        client.post(f"analyses/{identifier}/{action}")
        yield from _wait(client, identifier, ends, v2=v2, bar=bar)


def _wait(
    client: Client, identifier: int, ends: tuple[str, ...], *, v2: bool, bar: Progress | None
) -> list[dict[str, Any]]:
    bars: dict[str, Any] = {}
    begun = time.monotonic()
    reasons = Reasons()
    while True:
        analysis = client.get(f"analyses/{identifier}/")
        status = analysis["status"]
        if bar is not None and (reason := reasons.news(analysis, seconds=time.monotonic())):
            bar.console.print(f"Waiting: {escape(reason)}", soft_wrap=True)
        watched = v2 and (bar is not None or status in ends)
        steps: list[dict[str, Any]] = client.get(f"analyses/{identifier}/sub_task_list/") if watched else []
        if bar is not None:
            _show(bar, bars, steps, analysis)
        finished = all(step["status"] in {"COMPLETED", "CANCELLED", "ERROR"} for step in steps)
        if status in ends and finished:
            return steps
        if status.endswith(("_ERROR", "_NO_KEYS", "_CANCELLED")):
            raise CommandFailed(_failure(client, identifier, status))
        pause = (time.monotonic() - begun) * PAUSE_SHARE
        time.sleep(min(max(pause, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS))


@dataclass
class Reasons:
    """Why an analysis waits, told once each time that it changes, and only of what lasts."""

    _seen: str = ""
    _since: float = 0.0
    _told: str = ""

    def news(self, analysis: Mapping[str, Any], *, seconds: float) -> str:
        """Return what is to be told of an analysis that was just looked at, or nothing.

        Args:
            analysis: as a server shows it; not all of them say why it waits.
            seconds: a clock that never goes back.
        """
        reason: str = (analysis.get("waiting_for") or {}).get("message", "")
        if reason != self._seen:
            self._seen, self._since = reason, seconds
        if reason == self._told or seconds - self._since < LASTING_SECONDS:
            return ""
        self._told = reason
        return reason


def _show(bar: Progress, bars: dict[str, Any], steps: list[dict[str, Any]], analysis: dict[str, Any]) -> None:
    """Show a bar for each kind of sub-task: chunks of a kind share one. Without sub-tasks: one of events."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for step in steps:
        groups.setdefault(step["name"].rstrip("0123456789 "), []).append(step)
    if not groups:
        events = max(1, int(analysis["num_events_total"] or 0))
        if WAITING not in bars:
            bars[WAITING] = bar.add_task(WAITING)
        status, done = f"[bold]{analysis['status']}[/]", int(analysis["num_events_complete"] or 0)
        bar.update(bars[WAITING], total=events, completed=done, description=status)
    elif (waiting := bars.pop(WAITING, None)) is not None:
        bar.remove_task(waiting)
    for name, group in groups.items():
        if name not in bars:
            bars[name] = bar.add_task(name, total=len(group))
        running = any(step["status"] == "STARTED" for step in group)
        bar.update(bars[name], completed=sum(map(_done, group)), description=f"[bold]{name}[/]" if running else name)


def _done(step: dict[str, Any]) -> float:
    """Return how much of a sub-task is done; a running one may know its events."""
    if step["status"] == "COMPLETED":
        return 1.0
    used = step.get("resources") or {}
    return float(used["events_done"] / used["events_total"]) if used.get("events_total") else 0.0


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress | None]:  # noqa: FBT001 - one flag
    if quiet:
        yield None
        return
    columns = (TextColumn("{task.description:<40}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        yield progress


def _failure(client: Client, identifier: int, status: str) -> str:
    name = "run_traceback_file" if status.startswith("RUN") else "input_generation_traceback_file"
    target = Path.cwd() / f"analysis_{identifier}_traceback.txt"
    saved = client.download(f"analyses/{identifier}/{name}/", target)
    if saved is None:
        return f"Analysis {identifier} ended as {status}."
    first, *rest = saved.read_text(errors="replace").splitlines() or [""]
    left_out = ["…"] if len(rest) > TRACEBACK_LINES else []
    return "\n".join(
        [
            f"Analysis {identifier} ended as {status}: {first}",
            *left_out,
            *rest[-TRACEBACK_LINES:],
            f"The whole of it: {saved}",
        ]
    )


def _download(client: Client, identifier: int, folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for name, filename in DOWNLOADS.items():
        saved = client.download(f"analyses/{identifier}/{name}/", folder / filename)
        if saved is not None:
            files[name] = saved
    if "output_file" in files:
        with tarfile.open(files["output_file"]) as archive:
            archive.extractall(folder, filter="data")
        files["tables"] = folder / "output"
    return files


def _losses(files: dict[str, Path]) -> LossSummary | None:
    try:
        return read_losses(files["output_file"]) if "output_file" in files else None
    except NoLosses:
        return None


def _require_files(wish: Wish) -> None:
    given = [path for path in [*wish.files.values(), wish.settings] if path is not None]
    for path in given:
        if not path.is_file():
            message = f"There is no file {path}."
            raise CommandFailed(message)
    if not any(wish.files.values()):
        message = "Give at least the locations (-x) or the accounts (-y)."
        raise CommandFailed(message)


def _document(path: Path) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        message = f"{path} is not JSON: {error}"
        raise CommandFailed(message) from error
