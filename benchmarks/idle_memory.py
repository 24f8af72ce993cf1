"""What does the whole platform take on one machine while nobody asks anything of it, and how many database connections?

Every role as a process of its own, as a cluster starts them: API, websocket server, worker monitor, task controller,
beat, internal worker, and a worker of the demonstration model; against PostgreSQL and RabbitMQ, which are counted
apart. The monitor takes V1's and V2's messages, for which the reference platform has a worker monitor each. Then the
same with `qanat up`, whose roles are forks of one process. Of each role: the share of memory (PSS) of all its
processes, its processes, and its connections to PostgreSQL, idle and the most of them while runs and requests go on.
The model worker has run an analysis before, so its warm processes hold the kernel.

    python benchmarks/idle_memory.py
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import psutil
from losses import HOST, MEGABYTE, Case, demonstration, laptop, run_here, share_of_memory, wish_of
from websockets.sync.client import connect as connect_websocket

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests import postgres, rabbitmq  # noqa: E402 - after the path
from tests.live_server import PASSWORD  # noqa: E402 - after the path
from tests.roles import Cluster  # noqa: E402 - after the path
from tests.waiting import until  # noqa: E402 - after the path

from qanat.cli.up.platform import free_port  # noqa: E402 - after the path

REFERENCE: Final = 2.6e9
"""Bytes of the reference platform's roles, idle on one node, as we were told."""
TARGET: Final = 1.3e9
MOST: Final = {"api": 13, "websocket": 6, "monitor": 3, "task-controller": 3}
"""Connections to PostgreSQL that a role has at most (docs/explanation/cost-of-idling.md); the others have none."""
QUIET_SECONDS: Final = 10.0
LOOK_EVERY_SECONDS: Final = 0.1
CLIENTS: Final = 16
APART: Final = {"broker"}
"""Not ours."""


@dataclass(frozen=True, kw_only=True)
class Use:
    """What a role takes."""

    memory: float
    """Bytes."""
    processes: int


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and all that come from it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def memory_if_alone(pids: Iterable[int]) -> int:
    """Return what processes would take if nobody else on the machine had the same files in memory, in bytes.

    Their own memory, which only forks share, and of each piece of a file the most that one of them has touched.
    """
    own, files = 0, dict[tuple[str, ...], int]()
    for pid in pids:
        piece: tuple[str, ...] | None = None
        for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
            first, *rest = line.split()
            if not first.endswith(":"):
                # addresses, rights, offset, device, inode, name
                piece = (rest[1], *rest[3:]) if rest[3] != "0" else None
            elif (first == "Pss:" and piece is None) or (first == "Pss_Anon:" and piece is not None):
                own += int(rest[0]) * 1024
            elif first == "Rss:" and piece is not None:
                files[piece] = max(files.get(piece, 0), int(rest[0]) * 1024)
    return own + sum(files.values())


def used(roles: Mapping[str, int]) -> dict[str, Use]:
    """Return what each role takes, by name."""
    found = {}
    for name, pid in roles.items():
        processes = tree(pid)
        memory = sum(share_of_memory(process.pid) for process in processes)
        found[name] = Use(memory=memory, processes=len(processes))
    return found


def settled(roles: Mapping[str, int]) -> dict[str, Use]:
    """Return what each role takes once its processes have not worked for a while."""

    def work() -> float:
        times = [process.cpu_times() for pid in roles.values() for process in tree(pid)]
        return sum(each.user + each.system for each in times)

    def is_quiet() -> bool:
        before = work()
        time.sleep(QUIET_SECONDS)
        return work() - before < QUIET_SECONDS / 10

    until(is_quiet, what="the platform is idle", seconds=600)
    return used(roles)


def report(title: str, roles: Mapping[str, int]) -> None:
    """Print a table."""
    found = settled(roles)
    ours = [process.pid for name, pid in roles.items() if name not in APART for process in tree(pid)]
    print(f"\n{title}")
    for name, use in found.items():
        apart = "   (apart)" if name in APART else ""
        print(f"  {name:18} {use.memory / MEGABYTE:7.0f} MiB in {use.processes:2} processes{apart}")
    total = sum(use.memory for name, use in found.items() if name not in APART)
    alone = memory_if_alone(ours)
    verdict = "met" if alone < TARGET else "not met"
    times = f"1/{REFERENCE / total:.1f} of {REFERENCE / 1e9} GB"
    print(f"  {'all':18} {total / MEGABYTE:7.0f} MiB = {total / 1e9:.2f} GB, {times}")
    print(
        f"  if nobody else had the same libraries in memory: {alone / 1e9:.2f} GB; below {TARGET / 1e9} GB: {verdict}"
    )


def connections(database: str, roles: Mapping[str, int]) -> Counter[str]:
    """Return how many connections to PostgreSQL each role has."""
    port = int(database.rpartition(":")[2].partition("/")[0])
    found = Counter(dict.fromkeys(roles, 0))
    for name, pid in roles.items():
        for process in tree(pid):
            with suppress(psutil.NoSuchProcess):  # of a step that has ended
                held = process.net_connections("tcp")
                found[name] += sum(bool(each.raddr) and each.raddr.port == port for each in held)
    return found


@contextmanager
def most_connections(database: str, roles: Mapping[str, int]) -> Iterator[Counter[str]]:
    """Yield a count of connections that grows to the most that each role had at a time."""
    most, ended = connections(database, roles), threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_EVERY_SECONDS):
            for name, number in connections(database, roles).items():
                most[name] = max(most[name], number)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def apart(folder: Path) -> None:
    """Measure the roles as processes of their own."""
    exposure = demonstration(folder / "demo")
    with ExitStack() as stack:
        cluster = Cluster(
            folder=folder / "cluster",
            database=stack.enter_context(postgres.server(address=HOST, subnet=f"{HOST}/32")),
            broker=stack.enter_context(rabbitmq.server()),
        )
        cluster.prepare()
        websocket_port = free_port(HOST)
        processes = [
            cluster.api(),
            cluster.role("websocket", "--websocket-port", str(websocket_port)),
            *(cluster.role(name) for name in ("monitor", "task-controller", "beat")),
            cluster.worker(None),
            cluster.worker(exposure.model),
        ]
        roles = {process.name: stack.enter_context(process).pid for process in processes}
        client = stack.enter_context(cluster.client())
        until(lambda: client.get("models/"), what="the model is registered", seconds=300)
        case = Case(locations=100, samples=10, chunks=4)
        files, settings = exposure.of(case, folder / "exposure")
        wish = wish_of(exposure, case, files, settings, output=folder / "first")
        run_here(client, wish)
        report("Roles as processes of their own, on PostgreSQL and RabbitMQ", roles)

        idle = connections(cluster.database, roles)
        with most_connections(cluster.database, roles) as most, ThreadPoolExecutor(CLIENTS) as clients:
            asked = [clients.submit(ask, cluster) for _ in range(CLIENTS)]
            with listening(cluster, websocket_port):
                run_here(client, wish_of(exposure, case, files, settings, output=folder / "second"))
                for each in asked:
                    each.result()
        print("\nConnections to PostgreSQL: idle, the most under load, and what is promised")
        for name in roles:
            print(f"  {name:18} {idle[name]:3} {most[name]:3} {MOST.get(name, 0):3}")
            assert most[name] <= MOST.get(name, 0), name
        print(f"  {'all':18} {idle.total():3} {most.total():3} {sum(MOST.values()):3}")


def ask(cluster: Cluster) -> None:
    """Be a busy client."""
    with cluster.client() as client:
        for _ in range(100):
            client.get("analyses/")


@contextmanager
def listening(cluster: Cluster, port: int) -> Iterator[None]:
    """Listen to the queues over websockets, and to events over the API, while the block lasts."""
    credentials = {"username": "admin", "password": PASSWORD}
    answer = httpx.post(f"{cluster.url}/api/access_token/", json=credentials)
    token = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    with httpx.Client(base_url=f"{cluster.url}/api/", headers=token) as client, ExitStack() as stack:
        for _ in range(CLIENTS):
            socket = connect_websocket(
                f"ws://{HOST}:{port}/ws/v2/queue-status/", additional_headers=token, ping_interval=None
            )
            stack.enter_context(socket)
            stack.enter_context(client.stream("GET", "v2/events/"))
        yield


def together(folder: Path) -> None:
    """Measure `qanat up`."""
    exposure = demonstration(folder / "demo")
    os.environ.pop("QANAT_DATABASE_URL", None)
    with laptop(exposure.model, folder / "platform") as (platform, client):
        case = Case(locations=100, samples=10, chunks=4)
        files, settings = exposure.of(case, folder / "exposure")
        run_here(client, wish_of(exposure, case, files, settings, output=folder / "first"))
        report("`qanat up`", {name: pid for name, pid in platform.processes().items() if pid is not None})


def main() -> None:
    """Measure both."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    if postgres.binaries() is None or rabbitmq.programme() is None:
        print("PostgreSQL or RabbitMQ is not installed: apt-get install postgresql rabbitmq-server")
    else:
        with tempfile.TemporaryDirectory(prefix="qanat-idle-") as temporary:
            apart(Path(temporary))
    with tempfile.TemporaryDirectory(prefix="qanat-idle-") as temporary:
        together(Path(temporary))


if __name__ == "__main__":
    main()
