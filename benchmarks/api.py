"""What does the API cost with 10,000 portfolios and 10,000 analyses: time, processor time, queries and memory?

A server of two processes on a PostgreSQL of its own, filled by ``fill_api.py``, and asked over HTTP by a member of five
groups, who is no staff. Of each request: the median and the 95th percentile of many in a row on one connection,
processor time of the server's processes and of PostgreSQL's, and the statements that PostgreSQL took for it. Then
requests a second, the server's memory while a large file goes up and down (its share, PSS), and how long a health check
takes, on a new connection each, while downloads are left unread and uploads dawdle. Targets are for two cores without
other work; client, server and database share them.

    python benchmarks/api.py
    python benchmarks/api.py --portfolios 200 --analyses 200 --megabytes 64 --seconds 2     a look, in half a minute
"""

import argparse
import http.client
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg
from losses import MEGABYTE, ROOT, share_of_memory

sys.path.insert(0, str(ROOT))
from tests import live_server, postgres

HOST: Final = live_server.HOST
USER: Final = "analyst"
PROCESSES: Final = 2
LARGE: Final = 100 * 10**6
BLOCK: Final = bytes(range(256)) * 2**10
LOOK_EVERY_SECONDS: Final = 0.05
PROBE_EVERY_SECONDS: Final = 0.005
CROWD: Final = 50
DAWDLING_BYTES: Final = 9_000_000
CLIENTS: Final = 8
DETAILS_A_SECOND: Final = 500
FLAT: Final = 50
"""MB."""
HEALTHY: Final = 100
"""ms."""
BOUNDARY: Final = "qanat"
BRACKETS: Final = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
Headers = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Site:
    """A server that runs, and its database."""

    live: live_server.Live
    database: str
    token: str
    """Of the user who asks."""

    @property
    def server(self) -> list[psutil.Process]:
        """The server's processes."""
        first = psutil.Process(self.live.pid)
        return [first, *first.children(recursive=True)]

    @property
    def postgres(self) -> list[psutil.Process]:
        """The database's processes."""
        first = psutil.Process(int((self._folder / "data" / "postmaster.pid").read_text().split()[0]))
        return [first, *first.children(recursive=True)]

    @property
    def log(self) -> Path:
        """What the database logs."""
        return self._folder / "log"

    @property
    def _folder(self) -> Path:
        return Path(parse_qs(urlsplit(self.database).query)["host"][0])

    def memory(self) -> int:
        """Return the server's share of memory, in bytes."""
        return sum(share_of_memory(process.pid) for process in self.server)

    @property
    def headers(self) -> Headers:
        """Return the header that says who asks."""
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a request costs: times in seconds."""

    median: float
    p95: float
    server: float
    database: float
    queries: int


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A figure beside its target."""

    what: str
    value: float
    target: float
    unit: str
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure is good enough."""
        return self.value >= self.target if self.at_least else self.value <= self.target


@dataclass(frozen=True, kw_only=True)
class Question:
    """A request that is measured."""

    name: str
    path: str
    times: int
    method: str = "GET"
    body: bytes = b""
    kind: str = "application/json"
    seconds: float | None = None
    """The target of the median."""
    queries: int | None = None
    """The target of the statements."""


@dataclass
class Findings:
    """All that was measured."""

    costs: dict[str, Cost] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    others: dict[str, float] = field(default_factory=dict)

    def judge(self, what: str, value: float, target: float, unit: str, *, at_least: bool = False) -> None:
        """Note a figure and its target, and print them."""
        verdict = Verdict(what=what, value=value, target=target, unit=unit, at_least=at_least)
        self.verdicts.append(verdict)
        bound = "at least" if at_least else "at most"
        print(f"  {what:58} {value:9.1f} {unit:4} {bound} {target:g}: {'met' if verdict.met else 'MISSED'}", flush=True)

    def note(self, what: str, value: float, unit: str) -> None:
        """Note a figure without a target, and print it."""
        self.others[f"{what}, {unit}"] = value
        print(f"  {what:58} {value:9.1f} {unit}", flush=True)


@contextmanager
def site(folder: Path, *, portfolios: int, analyses: int) -> Iterator[Site]:
    """Start the database and the server, and fill them."""
    password = secrets.token_urlsafe()
    with postgres.server(durable=True) as database:
        settings = {"QANAT_DATABASE_URL": database, "QANAT_API_PROCESSES": str(PROCESSES)}
        with live_server.serving(folder, settings) as live:
            begun = time.monotonic()
            subprocess.run(
                [
                    sys.executable,
                    str(Path(__file__).with_name("fill_api.py")),
                    *("--portfolios", str(portfolios), "--analyses", str(analyses), "--password", password),
                ],
                env={
                    **os.environ,
                    **settings,
                    "DJANGO_SETTINGS_MODULE": "qanat.server.config.settings",
                    "QANAT_DATA_DIR": str(folder),
                },
                check=True,
            )
            print(f"filled in {time.monotonic() - begun:.0f} s", flush=True)
            body = json.dumps({"username": USER, "password": password}).encode()
            connection = http.client.HTTPConnection(HOST, live.port)
            said = ask(connection, Question(name="", method="POST", path="access_token/", body=body, times=1), {})
            connection.close()
            os.environ["QANAT_BENCHMARK_PASSWORD"] = password
            yield Site(live=live, database=database, token=json.loads(said)["access_token"])


def ask(connection: http.client.HTTPConnection, question: Question, headers: Headers) -> bytes:
    """Ask once and return the body of the answer."""
    sent = {**headers, **({"Content-Type": question.kind} if question.body else {})}
    connection.request(question.method, f"/api/{question.path}", question.body or None, sent)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status < http.client.MULTIPLE_CHOICES, (question, answer.status, body[:500])
    return body


def cpu(processes: list[psutil.Process]) -> float:
    """Return the processor time of processes, and of children of the first that have ended."""
    total = 0.0
    for number, process in enumerate(processes):
        with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
            times = process.cpu_times()
            total += times.user + times.system + (times.children_user + times.children_system if number == 0 else 0)
    return total


def p95(values: list[float]) -> float:
    """Return the 95th percentile."""
    return statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


def measured(place: Site, question: Question, findings: Findings) -> None:
    """Ask many times in a row, and print what it costs."""
    connection = http.client.HTTPConnection(HOST, place.live.port, timeout=600)
    ask(connection, question, place.headers)  # threads, connections and caches are there
    server, database = cpu(place.server), cpu(place.postgres)
    latencies = []
    for _ in range(question.times):
        begun = time.perf_counter()
        ask(connection, question, place.headers)
        latencies.append(time.perf_counter() - begun)
    cost = Cost(
        median=statistics.median(latencies),
        p95=p95(latencies),
        server=(cpu(place.server) - server) / question.times,
        database=(cpu(place.postgres) - database) / question.times,
        queries=queries(place, lambda: ask(connection, question, place.headers)),
    )
    connection.close()
    findings.costs[question.name] = cost
    shown = " ".join(f"{value * 1e3:10.1f}" for value in (cost.median, cost.p95, cost.server, cost.database))
    print(f"  {question.name:40} {shown} {cost.queries:8}", flush=True)


def queries(place: Site, run: Callable[[], object]) -> int:
    """Return how many statements the database takes while something runs, but for those around transactions."""
    with psycopg.connect(place.database, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET log_statement = 'all'")
        counts = []
        try:
            connection.execute("SELECT pg_reload_conf()")
            time.sleep(0.3)
            for _ in range(3):  # a connection of the server that is made anew takes a few of its own
                before = place.log.stat().st_size
                run()
                with place.log.open() as log:
                    log.seek(before)
                    lines = [line.partition("LOG:  statement: ")[2] for line in log]
                counts.append(sum(bool(line) and not line.startswith(BRACKETS) for line in lines))
        finally:
            connection.execute("ALTER SYSTEM RESET log_statement")
            connection.execute("SELECT pg_reload_conf()")
            time.sleep(0.3)
    return min(counts)


def requests(*, times: int, portfolio: int, analysis: int) -> list[Question]:
    """Return what is asked one at a time."""
    credentials = {"username": USER, "password": os.environ["QANAT_BENCHMARK_PASSWORD"]}
    created = {"name": "created", "portfolio": portfolio, "model": 1}
    few = max(2, times // 40)
    return [
        Question(name="health check", path="healthcheck/", times=times),
        Question(name="V2 analyses, all", path="v2/analyses/", times=few, seconds=3, queries=12),
        Question(name="V2 analyses, a page of 100", path="v2/analyses/?limit=100", times=times // 4, seconds=0.06),
        Question(name="V2 portfolios, all", path="v2/portfolios/", times=few),
        Question(name="V2 portfolios, a page of 100", path="v2/portfolios/?limit=100", times=times // 4),
        Question(name="V1 analyses, all", path="v1/analyses/", times=few),
        Question(name="V2 models", path="v2/models/", times=times // 4),
        Question(name="a V2 analysis", path=f"v2/analyses/{analysis}/", times=times, seconds=0.01),
        Question(name="a V2 portfolio", path=f"v2/portfolios/{portfolio}/", times=times),
        Question(name="the sub-tasks of an analysis", path=f"v2/analyses/{analysis}/sub_task_list/", times=times),
        Question(
            name="a token",
            method="POST",
            path="access_token/",
            times=times // 10,
            body=json.dumps(credentials).encode(),
        ),
        Question(
            name="create a portfolio", method="POST", path="v2/portfolios/", times=times, body=b'{"name": "created"}'
        ),
        Question(
            name="create an analysis",
            method="POST",
            path="v2/analyses/",
            times=times,
            body=json.dumps(created).encode(),
        ),
    ]


def one_at_a_time(place: Site, findings: Findings, *, times: int) -> tuple[int, int]:
    """Measure requests of one client; return a portfolio and its analysis to go on with."""
    connection = http.client.HTTPConnection(HOST, place.live.port)
    first = json.loads(ask(connection, Question(name="", path="v2/analyses/?limit=10", times=1), place.headers))[1]
    connection.close()
    heads = " ".join(f"{head:>10}" for head in ("median ms", "p95 ms", "server ms", "database ms"))
    print(f"\n  {'request':40} {heads}  queries")
    asked = requests(times=times, portfolio=first["portfolio"], analysis=first["id"])
    for question in asked:
        measured(place, question, findings)
    print()
    for question in asked:
        cost = findings.costs[question.name]
        if question.seconds is not None:
            findings.judge(question.name, cost.median * 1e3, question.seconds * 1e3, "ms")
        if question.queries is not None:
            findings.judge(f"{question.name}: statements", cost.queries, question.queries, "")
    return first["portfolio"], first["id"]


def a_second(place: Site, findings: Findings, *, path: str, seconds: float) -> None:
    """Measure how many requests are answered while several clients ask without pause."""
    command = ("load", str(place.live.port), place.token, path, str(seconds))
    clients = [subprocess_of(*command) for _ in range(CLIENTS)]
    for client in clients:
        assert client.stdout is not None
        client.stdout.readline()
    server, database = cpu(place.server), cpu(place.postgres)
    with ThreadPoolExecutor(CLIENTS) as pool:
        counts = [json.loads(said) for said in pool.map(lambda client: client.communicate(b"go\n")[0], clients)]
    requests = sum(count["requests"] for count in counts)
    used = {
        "the server's processes": cpu(place.server) - server,
        "PostgreSQL": cpu(place.postgres) - database,
        "the clients": sum(count["cpu"] for count in counts),
    }
    cores = os.cpu_count() or 1
    median = statistics.median(count["median"] for count in counts)
    findings.note(f"details: {CLIENTS} clients at once, median", median * 1e3, "ms")
    for who, spent in used.items():
        findings.note(f"details: processor time of {who}, each", spent / requests * 1e3, "ms")
    findings.note(
        f"details a second that this allows on {cores} free cores", cores * requests / sum(used.values()), "/s"
    )
    findings.judge("details a second", requests / seconds, DETAILS_A_SECOND, "/s", at_least=True)


def load(port: int, token: str, path: str, seconds: float) -> None:
    """Be a client that asks without pause, as sparing as can be; print what came of it."""
    request = f"GET /api/{path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    latencies = []
    print(flush=True)
    sys.stdin.readline()
    spent = time.process_time()
    with socket.create_connection((HOST, port)) as connection:
        ends = time.monotonic() + seconds
        while (begun := time.monotonic()) < ends:
            connection.sendall(request)
            answer = connection.recv(2**16)
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), answer[:300]
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            while len(body) < length:
                body += connection.recv(2**16)
            latencies.append(time.monotonic() - begun)
    said = {"requests": len(latencies), "median": statistics.median(latencies), "cpu": time.process_time() - spent}
    print(json.dumps(said))


def subprocess_of(*command: str) -> "subprocess.Popen[bytes]":
    """Start this file as another of its parts."""
    return subprocess.Popen([sys.executable, __file__, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


@contextmanager
def watched(place: Site) -> Iterator[list[int]]:
    """Look at the server's memory while the block runs; the list then holds what was seen, in bytes."""
    seen: list[int] = [place.memory()]
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_EVERY_SECONDS):
            seen.append(place.memory())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def upload(place: Site, path: str, size: int) -> None:
    """Send a form with one file of ``size`` bytes."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="location.csv"\r\n'
        "Content-Type: text/csv\r\n\r\n"
    ).encode()
    end = f"\r\n--{BOUNDARY}--\r\n".encode()
    connection = http.client.HTTPConnection(HOST, place.live.port, timeout=600)
    connection.putrequest("POST", f"/api/{path}")
    for name, value in {
        **place.headers,
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        "Content-Length": str(len(head) + size + len(end)),
    }.items():
        connection.putheader(name, value)
    connection.endheaders(head)
    for start in range(0, size, len(BLOCK)):
        connection.send(BLOCK[: size - start])
    connection.send(end)
    answer = connection.getresponse()
    assert answer.status == http.client.OK, answer.read()[:500]
    connection.close()


def download(place: Site, path: str) -> int:
    """Fetch a file and return its size."""
    connection = http.client.HTTPConnection(HOST, place.live.port, timeout=600)
    connection.request("GET", f"/api/{path}", headers=place.headers)
    answer = connection.getresponse()
    size = 0
    while piece := answer.read(2**20):
        size += len(piece)
    connection.close()
    return size


def files(place: Site, findings: Findings, *, portfolio: int, megabytes: int) -> None:
    """Measure a middling file up and down, and the server's memory while a large one is on its way."""
    path = f"v2/portfolios/{portfolio}/location_file/"
    for what, transfer in (("up", lambda: upload(place, path, LARGE)), ("down", lambda: download(place, path))):
        walls, used = [], []
        for _ in range(5):
            before, begun = cpu(place.server), time.perf_counter()
            transfer()
            walls.append(time.perf_counter() - begun)
            used.append(cpu(place.server) - before)
        findings.note(f"100 MB {what}", statistics.median(walls), "s")
        findings.note(f"100 MB {what}: processor time of the server", statistics.median(used), "s")
    size = megabytes * MEGABYTE
    with watched(place) as seen:
        written = written_bytes(place)
        upload(place, path, size)
        written = written_bytes(place) - written
        assert download(place, path) == size
    findings.note(f"{megabytes} MiB up: written to disk, times its size", written / size, "")
    findings.note("the server's memory before", seen[0] / MEGABYTE, "MB")
    findings.judge(f"memory while {megabytes} MiB go up and down", (max(seen) - seen[0]) / MEGABYTE, FLAT, "MB")


def written_bytes(place: Site) -> int:
    """Return how much the server's processes have written."""
    return sum(process.io_counters().write_bytes for process in place.server)


@contextmanager
def probed(place: Site) -> Iterator[list[float]]:
    """Ask for the health check all the while, from another process; afterwards the list holds how long it took."""
    prober = subprocess_of("probe", str(place.live.port))
    assert prober.stdin is not None
    assert prober.stdout is not None
    prober.stdout.readline()
    found: list[float] = []
    yield found
    prober.stdin.close()
    found += json.loads(prober.stdout.read())
    prober.wait()


def probe(port: int) -> None:
    """Ask for the health check, on a new connection each time, until the standard input ends; print the times."""
    times: list[float] = []
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    print(flush=True)
    while not ended.wait(PROBE_EVERY_SECONDS):
        begun = time.perf_counter()
        connection = http.client.HTTPConnection(HOST, port, timeout=60)
        connection.request("GET", "/api/healthcheck/")
        assert connection.getresponse().read() == b'{"status":"OK"}'
        connection.close()
        times.append(time.perf_counter() - begun)
    print(json.dumps(times))


def crowd(place: Site, findings: Findings, *, portfolio: int, seconds: float) -> None:
    """Measure the health check while many clients come that then read nothing, or dawdle over what they send."""
    path = f"/api/v2/portfolios/{portfolio}/location_file/"
    heading = "".join(f"{name}: {value}\r\n" for name, value in {"Host": HOST, **place.headers}.items())
    form = (
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {DAWDLING_BYTES}\r\n\r\n"
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    ).encode() + bytes(2 * MEGABYTE)
    memory = place.memory()
    with probed(place) as alone:
        time.sleep(seconds)
    with ExitStack() as stack:
        with probed(place) as arriving:
            time.sleep(0.5)
            downloads = [
                stack.enter_context(begun(place, f"GET {path} HTTP/1.1\r\n{heading}\r\n".encode()))
                for _ in range(CROWD)
            ]
            head = f"POST {path} HTTP/1.1\r\n{heading}".encode()
            uploads = [stack.enter_context(begun(place, head + form)) for _ in range(CROWD)]
            for connection in downloads:
                assert connection.recv(12) == b"HTTP/1.1 200"
            time.sleep(0.5)
        with probed(place) as waiting:
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                for connection in uploads:
                    connection.sendall(bytes(2**10))
                time.sleep(0.1)
        findings.note(f"memory with {2 * CROWD} slow clients: more by", (place.memory() - memory) / MEGABYTE, "MB")
    findings.note("health check, alone: p95", p95(alone) * 1e3, "ms")
    findings.note("health check, alone: worst", max(alone) * 1e3, "ms")
    for what, times in (("stand", waiting), ("arrive", arriving)):
        name = f"health check while {CROWD} downloads and {CROWD} uploads {what}"
        findings.note(f"{name}: median", statistics.median(times) * 1e3, "ms")
        findings.note(f"{name}: p95", p95(times) * 1e3, "ms")
        findings.judge(f"{name}: worst", max(times) * 1e3, HEALTHY, "ms")


def begun(place: Site, request: bytes) -> socket.socket:
    """Send a request, or its beginning, and leave it at that."""
    connection = socket.create_connection((HOST, place.live.port), timeout=60)
    connection.sendall(request)
    return connection


def main() -> None:
    """Measure all, print, and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--portfolios", type=int, default=10_000)
    parser.add_argument("--analyses", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=200, help="how often a quick request is made")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long many clients ask, or dawdle")
    parser.add_argument("--megabytes", type=int, default=1024, help="the size of the file that goes up and down")
    parser.add_argument("--save", type=Path, help="add the figures to a file, as a line of JSON")
    options = parser.parse_args()
    findings = Findings()
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, {PROCESSES} processes of the server")
    with (
        tempfile.TemporaryDirectory(prefix="qanat-api-", dir="/var/tmp") as folder,
        site(Path(folder), portfolios=options.portfolios, analyses=options.analyses) as place,
    ):
        portfolio, analysis = one_at_a_time(place, findings, times=options.times)
        print()
        a_second(place, findings, path=f"v2/analyses/{analysis}/", seconds=options.seconds)
        files(place, findings, portfolio=portfolio, megabytes=options.megabytes)
        crowd(place, findings, portfolio=portfolio, seconds=options.seconds)
    if options.save is not None:
        with options.save.open("a") as lines:
            lines.write(json.dumps({"load": os.getloadavg()[0], **asdict(findings)}) + "\n")
    missed = [verdict.what for verdict in findings.verdicts if not verdict.met]
    print(
        f"\n{len(findings.verdicts) - len(missed)} of {len(findings.verdicts)} targets met"
        + "".join(f"; missed: {what}" for what in missed)
    )


PARTS: Final[dict[str, Callable[..., None]]] = {
    "load": lambda port, token, path, seconds: load(int(port), token, path, float(seconds)),
    "probe": lambda port: probe(int(port)),
}
"""What this file is in processes of its own."""

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](*sys.argv[2:])
    else:
        main()
