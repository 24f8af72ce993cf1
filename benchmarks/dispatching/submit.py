"""Submits runs of V2 analyses as the API does, for ``benchmarks/dispatch.py``; prints the CPU time of one in ms."""

import argparse
import random
import sys
import time
from pathlib import Path

import django

django.setup()
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.factories import make_group, make_model, make_portfolio, make_user  # noqa: E402 - Django must be set up first

from qanat.contract.queues import MAX_PRIORITY  # noqa: E402
from qanat.contract.statuses import RunKind, RunMode  # noqa: E402
from qanat.server.analyses import requests  # noqa: E402
from qanat.server.analyses.models import Analysis  # noqa: E402
from qanat.server.config import celery  # noqa: E402, F401 - the app by which doorbells leave
from qanat.server.risk_models.models import RiskModel  # noqa: E402
from qanat.server.runs import clock  # noqa: E402


def models(count: int) -> list[RiskModel]:
    """Return the benchmark's models; they are made the first time."""
    if found := list(RiskModel.objects.order_by("pk")):
        return found
    group = make_group()
    return [
        make_model(group, supplier_id="Supplier", model_id=f"Model{number}", version_id="1", run_mode=RunMode.V2)
        for number in range(count)
    ]


def main() -> None:
    """Read the options and submit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=int, required=True)
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--chunks", type=int, required=True)
    parser.add_argument("--pause", type=float, default=0.0)
    given = parser.parse_args()
    of = models(given.models)
    group = of[0].groups.get()
    actor = make_user(group) if not group.user_set.exists() else group.user_set.get()
    portfolio = make_portfolio(group, creator=actor)
    chance = random.Random(given.runs)  # noqa: S311 - priorities, not secrets
    rows = Analysis.objects.bulk_create(
        Analysis(
            name=f"Analysis {number}",
            portfolio=portfolio,
            model=of[number % len(of)],
            priority=chance.randint(1, MAX_PRIORITY),
            chunking={"fixed_lookup_chunks": given.chunks},
            creator=actor,
        )
        for number in range(given.runs)
    )
    spent = time.process_time()
    for row in rows:
        requests.request(requests.Request(analysis=row, actor=actor, kind=RunKind.INPUTS, now=clock.now()))
        time.sleep(given.pause)
    print((time.process_time() - spent) / len(rows) * 1e3)


if __name__ == "__main__":
    main()
