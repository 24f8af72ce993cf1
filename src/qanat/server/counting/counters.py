"""The counters. Each is counted in one place, where the thing happens, after it has been committed.

They begin at nothing when a process does, as Prometheus expects of counters.
"""

import os
from collections.abc import Iterable
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

COMMITTED: Final = Counter(
    "qanat_steps_committed", "Results of steps that were taken, by queue.", ("queue",), registry=COUNTED
)
FAILURES: Final = Counter(
    "qanat_step_failures",
    "Attempts that failed, by queue, by what they are held against, and by whether the step is tried again.",
    ("queue", "reason", "retried"),
    registry=COUNTED,
)
LEASES_LOST: Final = Counter(
    "qanat_leases_lost",
    "Steps taken from a worker that gave no sign of life for a whole lease, by queue.",
    ("queue",),
    registry=COUNTED,
)
RESENT: Final = Counter(
    "qanat_doorbells_resent",
    "Doorbells that rang again because nobody had answered, by queue.",
    ("queue",),
    registry=COUNTED,
)
REFUSED: Final = Counter("qanat_doorbells_refused", "Messages that the broker did not take.", registry=COUNTED)
REQUESTS: Final = Counter(
    "qanat_http_requests",
    "Requests that the API has answered, by method, route and code of the answer.",
    ("method", "route", "status"),
    registry=COUNTED,
)
REQUEST_SECONDS: Final = Histogram(
    "qanat_http_request_seconds",
    "Seconds from when the API had a whole request until its answer began, by method and route.",
    ("method", "route"),
    buckets=SECONDS,
    registry=COUNTED,
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


def collect() -> Iterable[Metric]:
    """Return what was counted: by all processes that share their counters with this one, or else by this one alone."""
    if FOLDER in os.environ:
        shared: Iterable[Metric] = MultiProcessCollector(None).collect()  # type: ignore[no-untyped-call]
        return shared
    return COUNTED.collect()
