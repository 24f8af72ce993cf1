"""The counters. Each is counted in one place, where the thing happens, after it has been committed.

They begin at nothing when a process does, as Prometheus expects of counters.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from qanat.server.counting.shared import FOLDER

COUNTED: Final = CollectorRegistry()
METHODS: Final = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"}
OTHER: Final = "other"
"""In place of a method or a route that is none: anybody can make up as many as they like."""
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

LABELS: Final[dict[str, tuple[str, ...]]] = {}
"""Of each counter, by its name."""


def _counter(name: str, about: str, *labels: str) -> Counter:
    LABELS[name] = labels
    return Counter(name, about, labels, registry=COUNTED)


def _histogram(name: str, about: str, *labels: str, buckets: Sequence[float]) -> Histogram:
    LABELS[name] = labels
    return Histogram(name, about, labels, buckets=buckets, registry=COUNTED)


COMMITTED: Final = _counter("qanat_steps_committed", "Steps whose results were committed, by queue.", "queue")
FAILURES: Final = _counter(
    "qanat_step_failures",
    "Attempts that failed, by queue, by what they are held against, and by whether the step is tried again.",
    "queue",
    "reason",
    "retried",
)
LEASES_LOST: Final = _counter(
    "qanat_leases_lost", "Steps taken from a worker that gave no sign of life for a whole lease, by queue.", "queue"
)
RESENT: Final = _counter(
    "qanat_doorbells_resent", "Doorbells that rang again because nobody had answered, by queue.", "queue"
)
REFUSED: Final = _counter("qanat_doorbells_refused", "Messages that the broker did not take.")
REQUESTS: Final = _counter(
    "qanat_http_requests",
    "Requests that the API has answered, by method, route and code of the answer.",
    "method",
    "route",
    "status",
)
REQUEST_SECONDS: Final = _histogram(
    "qanat_http_request_seconds",
    "Seconds from when the API had a whole request until its answer began, by method and route.",
    "method",
    "route",
    buckets=SECONDS,
)


def answered(*, method: str, route: str, status: int, seconds: float) -> None:
    """Count a request.

    Args:
        method: as the client says it.
        route: the pattern of the path as Django has it; empty where there is none.
        status: the code of the answer.
        seconds: how long it took.
    """
    requests, took = _of_request(method if method in METHODS else OTHER, route, status)
    requests.inc()
    took.observe(seconds)


@cache
def _of_request(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Return what a request counts in; to look it up each time would take as long as to count.

    Everything is routed with and without ``api/``, and is the same.
    """
    path = f"/{route.removeprefix('api/')}" if route else OTHER
    return REQUESTS.labels(method, path, str(status)), REQUEST_SECONDS.labels(method, path)


def described() -> Iterator[tuple[Metric, tuple[str, ...]]]:
    """Yield each counter with the names of its labels."""
    return ((metric, LABELS[metric.name]) for metric in COUNTED.collect())


def collect() -> Iterable[Metric]:
    """Return what was counted: by all processes that share their counters with this one, or else by this one alone."""
    if FOLDER in os.environ:
        shared: Iterable[Metric] = MultiProcessCollector(None).collect()  # type: ignore[no-untyped-call]
        return shared
    return COUNTED.collect()
