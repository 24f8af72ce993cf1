"""How much of a run's time passes outside its steps: on a laptop, and on PostgreSQL and RabbitMQ?

A V2 run of four chunks, from the request for inputs until its results are ready. Of that the time counts as the steps'
own in which at least one runner is at work; the rest is planning, dispatch, claims, files on their way, commits, and
the client's next look. PiWind where it is there, else the demonstration model; medians over the rounds.

PostgreSQL and RabbitMQ come from this machine's packages and are started for the occasion; without them that half is
left out, and says so.

    python benchmarks/overhead.py --rounds 5
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from losses import HOST, ROOT, Case, Exposure, given_or_demonstration, laptop

from qanat.cli.client import Client, ServerAway, ServerRefused
from qanat.cli.run import find_model
from qanat.cli.up.platform import free_port

sys.path.insert(0, str(ROOT))
from tests import postgres, rabbitmq

CHUNKS: Final = 4
LOOK_SECONDS: Final = 0.02
START_SECONDS: Final = 90.0


@contextlib.contextmanager
def together(model: Path, folder: Path) -> Iterator[Client]:
    """Start what `qanat up` starts."""
    with laptop(model, folder / "laptop") as (_, client):
        yield client


@contextlib.contextmanager
def cluster(model: Path, folder: Path) -> Iterator[Client]:
    """Start PostgreSQL, RabbitMQ, the server's roles and a worker."""
    home = folder / "cluster"
    home.mkdir()
    port = free_port(HOST)
    report = home / "report.json"
    with postgres.server() as database, rabbitmq.server() as broker:
        environment = {
            **os.environ,
            "QANAT_DATA_DIR": str(home),
            "QANAT_DATABASE_URL": database,
            "QANAT_BROKER_URL": broker,
            "QANAT_SERVER": f"http://{HOST}:{port}/",
        }
        server = ["qanat.server", "embedded", "--port", str(port), "--websocket-port", str(free_port(HOST))]
        worker = ["qanat.worker", "--model", str(model), "--work-dir", str(home / "work")]
        with process([*server, "--report", str(report)], environment, home / "server.log"):
            wait_for(report.exists, home / "server.log")
            with process(worker, environment, home / "worker.log"), Client(f"http://{HOST}:{port}/") as client:
                wait_for(lambda: answers(client), home / "server.log")
                given = json.loads(report.read_text())
                client.login(given["admin"], given["password"])
                wait_for(lambda: bool(client.get("models/")), home / "worker.log")
                yield client


@contextlib.contextmanager
def process(module: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    """Run one of the platform's processes."""
    with log.open("ab") as stream:
        running = subprocess.Popen([sys.executable, "-m", *module], env=environment, stdout=stream, stderr=stream)
    try:
        yield
    finally:
        running.terminate()
        running.wait()


def answers(client: Client) -> bool:
    """Say whether the server listens; it reports before."""
    try:
        client.get("models/")
    except ServerAway:
        return False
    except ServerRefused:  # nobody has logged in yet
        return True
    return True


def wait_for(condition: Callable[[], bool], log: Path) -> None:
    """Wait until something is there."""
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.1)


def outside(client: Client, exposure: Exposure, files: dict[str, Path], settings: Path) -> tuple[float, float]:
    """Run once; return the seconds outside the steps, and in all."""
    model = find_model(client, exposure.name)
    portfolio = client.post("portfolios/", {"name": "overhead"})
    for name, path in files.items():
        client.upload(f"portfolios/{portfolio['id']}/{name}/", path)
    analysis = client.post("analyses/", {"name": "overhead", "portfolio": portfolio["id"], "model": model["id"]})
    at = f"analyses/{analysis['id']}/"
    client.post(f"{at}settings/", json.loads(settings.read_text()))
    client.post(f"{at}chunking_configuration/", {"fixed_lookup_chunks": CHUNKS, "fixed_analysis_chunks": CHUNKS})
    total = own = 0.0
    for action, end in (("generate_inputs/", "READY"), ("run/", "RUN_COMPLETED")):
        begun = time.monotonic()
        client.post(f"{at}{action}")
        while (status := client.get(at)["status"]) != end:
            assert not status.endswith("ERROR"), status
            time.sleep(LOOK_SECONDS)
        total += time.monotonic() - begun
        own += at_work(client.get(f"{at}sub_task_list/"))
    return total - own, total


def at_work(steps: list[dict[str, Any]]) -> float:
    """Return for how many seconds at least one runner was at work."""
    spans = []
    for step in steps:
        if seconds := (step["resources"] or {}).get("run_seconds"):
            ended = datetime.fromisoformat(step["end_time"]).timestamp()
            spans.append((ended - seconds, ended))
    covered, until = 0.0, 0.0
    for begun, ended in sorted(spans):
        covered += max(0.0, ended - max(begun, until))
        until = max(until, ended)
    return covered


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    places = {"qanat up": together}
    if rabbitmq.programme() and postgres.binaries() is not None:
        places["PostgreSQL and RabbitMQ"] = cluster
    else:
        print("PostgreSQL or RabbitMQ is not installed: apt-get install postgresql rabbitmq-server")
    with tempfile.TemporaryDirectory(prefix="qanat-overhead-") as temporary:
        folder = Path(temporary)
        exposure = given_or_demonstration(folder)
        files, settings = exposure.of(Case(locations=10, samples=10, chunks=CHUNKS), folder / "exposure")
        for name, place in places.items():
            with place(exposure.model, folder) as client:
                # The first is not counted: caches fill.
                found = [outside(client, exposure, files, settings) for _ in range(options.rounds + 1)][1:]
            rest, total = (statistics.median(column) for column in zip(*found, strict=True))
            print(f"{name:24} {rest:.2f} s outside the steps, of {total:.2f} s (V2, {CHUNKS} chunks)", flush=True)


if __name__ == "__main__":
    main()
