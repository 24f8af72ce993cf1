"""The gauges: how the engine is doing, read from the database whenever somebody asks, and so the same everywhere."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

if TYPE_CHECKING:
    from qanat.server.runs.figures import Figures, QueueFigures

Samples = Iterable[tuple[Sequence[str], float]]
"""Values of labels, and the value."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read at once."""

    figures: "Figures"
    tick_age: float | None
    """Seconds since beat's latest tick; None: it has never ticked."""


@dataclass(frozen=True, kw_only=True)
class Gauge:
    """A gauge, and how it is read."""

    name: str
    about: str
    labels: tuple[str, ...] = ()
    samples: Callable[[Reading], Samples]


def _by_queue(value: "Callable[[QueueFigures], float | None]") -> Callable[[Reading], Samples]:
    """Return how to read a value of each queue that has it."""
    return lambda reading: [
        ([name], found) for name, queue in reading.figures.queues.items() if (found := value(queue)) is not None
    ]


UP: Final = "qanat_database_up"
GAUGES: Final = (
    Gauge(
        name="qanat_runs",
        about="Runs by state; those that have ended count until they are deleted.",
        labels=("state",),
        samples=lambda reading: [([state], many) for state, many in reading.figures.runs.items()],
    ),
    Gauge(
        name="qanat_runs_oldest_unplanned_seconds",
        about="For how long the oldest run that the task controller has not planned has waited for it; 0: none waits.",
        samples=lambda reading: [([], reading.figures.oldest_unplanned)],
    ),
    Gauge(
        name="qanat_runs_stuck",
        about="Runs of which nothing was heard for three leases, by the queue on which they should go on; those that"
        " wait for a worker to come, or behind other runs, are not counted.",
        labels=("queue",),
        samples=_by_queue(lambda queue: queue.stuck_runs),
    ),
    Gauge(
        name="qanat_steps",
        about="Steps that are not finished, by queue and state: waiting for others, ready, sent (the doorbell rang),"
        " running.",
        labels=("queue", "state"),
        samples=lambda reading: [
            ([name, state], many)
            for name, queue in reading.figures.queues.items()
            for state, many in queue.steps.items()
        ],
    ),
    Gauge(
        name="qanat_queue_depth",
        about="Steps that wait to be taken, by queue: those that are ready or sent.",
        labels=("queue",),
        samples=_by_queue(lambda queue: queue.depth),
    ),
    Gauge(
        name="qanat_queue_oldest_wait_seconds",
        about="For how long the oldest of them has waited, by queue; 0: none waits, or only until it is tried again.",
        labels=("queue",),
        samples=_by_queue(lambda queue: queue.oldest_wait),
    ),
    Gauge(
        name="qanat_workers",
        about="Workers that live and take new steps, by queue; the worker monitor's own queues have none.",
        labels=("queue",),
        samples=_by_queue(lambda queue: queue.workers),
    ),
    Gauge(
        name="qanat_worker_slots",
        about="How many steps these workers take at a time, by queue.",
        labels=("queue",),
        samples=_by_queue(lambda queue: None if queue.workers is None else queue.slots),
    ),
    Gauge(
        name="qanat_lease_overdue_seconds",
        about="For how long the first of the leases that have run out has not been reaped; 0: there is none.",
        samples=lambda reading: [([], reading.figures.longest_overdue)],
    ),
    Gauge(
        name="qanat_beat_tick_age_seconds",
        about="Seconds since the latest tick of beat that the worker monitor has taken; absent before the first.",
        samples=lambda reading: [] if reading.tick_age is None else [([], reading.tick_age)],
    ),
)
DATABASE: Final = Gauge(
    name=UP,
    about="1 where the database answered this request, 0 where it did not; then the other gauges are absent.",
    samples=lambda _reading: [([], 1.0)],
)
ALL: Final = (DATABASE, *GAUGES)


def families(reading: Reading | None) -> Iterator[Metric]:
    """Yield the gauges as Prometheus takes them; None where the database did not answer."""
    if reading is None:
        yield GaugeMetricFamily(DATABASE.name, DATABASE.about, value=0)
        return
    for gauge in ALL:
        family = GaugeMetricFamily(gauge.name, gauge.about, labels=gauge.labels)
        for labels, value in gauge.samples(reading):
            family.add_metric(labels, value)
        yield family
