"""How many workers a model should have (wire contract, sections 1.6 and 6.4)."""

from dataclasses import dataclass
from enum import StrEnum


class Strategy(StrEnum):
    """What the number of workers follows from."""

    FIXED_WORKERS = "FIXED_WORKERS"
    QUEUE_LOAD = "QUEUE_LOAD"
    DYNAMIC_TASKS = "DYNAMIC_TASKS"


@dataclass(frozen=True, kw_only=True)
class ScalingOptions:
    """A model's scaling configuration, with the defaults of the wire contract."""

    scaling_strategy: Strategy = Strategy.FIXED_WORKERS
    worker_count_fixed: int = 1
    worker_count_max: int = 10
    worker_count_min: int = 0
    chunks_per_worker: int = 10
