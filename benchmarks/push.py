"""What does it cost to tell listeners the state of the queues: together, or each for themselves?

A database of idle analyses as a site has them after a year: half of a V1 model, which are in the document of the queues
whatever their status, half of a V2 model with the sub-tasks of their inputs done. One look of the websocket server for
so many listeners of equal rights, against a look for each, which is what a consumer of its own for each connection
does. Queries, CPU time of this process (PostgreSQL's own comes on top) and bytes.

    python benchmarks/push.py --analyses 2700 --listeners 1 10 100
    python benchmarks/push.py --postgresql
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests import postgres  # noqa: E402 - after the path

SUB_TASKS = 7


@contextlib.contextmanager
def database(*, postgresql: bool) -> Iterator[None]:
    """Make an empty database and have Django know it."""
    with contextlib.ExitStack() as stack:
        os.environ["QANAT_DATA_DIR"] = stack.enter_context(tempfile.TemporaryDirectory())
        os.environ["QANAT_DATABASE_URL"] = stack.enter_context(postgres.server()) if postgresql else ""
        os.environ["DJANGO_SETTINGS_MODULE"] = "qanat.server.config.settings"
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connections

        call_command("migrate", verbosity=0)
        yield
        connections.close_all()


def fill(analyses: int) -> Any:  # noqa: ANN401 - a group
    """Have so many idle analyses, and workers."""
    from tests.factories import make_group, make_model, make_portfolio

    from qanat.contract.statuses import RunMode
    from qanat.server.analyses.models import Analysis
    from qanat.server.runs import clock
    from qanat.server.runs.models import Run, Step, Worker

    group, now = make_group(), clock.now()
    portfolio = make_portfolio(group)
    for mode in RunMode:
        model = make_model(group, run_mode=mode)
        queue = model.queue(mode)
        Worker.objects.create(id=queue, queues=[queue], last_seen=now)
        rows = Analysis.objects.bulk_create(
            Analysis(name=f"Analysis {n}", portfolio=portfolio, model=model, status="READY")
            for n in range(analyses // 2)
        )
        if mode == RunMode.V1:
            continue
        runs = Run.objects.bulk_create(
            Run(analysis_id=row.pk, kind="inputs", mode=mode, queue=queue, state="succeeded", created=now)
            for row in rows
        )
        Step.objects.bulk_create(
            Step(
                run=run,
                position=n,
                slug=f"step-{n}",
                name="Step",
                task="task",
                phase="inputs",
                queue=queue,
                state="succeeded",
                celery_id=f"{run.pk}-{n}",
                pending_at=now,
            )
            for run in runs
            for n in range(SUB_TASKS)
        )
    return group


def measured(look: Callable[[], Any]) -> tuple[int, float, Any]:
    """Return the queries, the milliseconds of CPU and the answer of a look; the second, when all is warm."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    look()
    with CaptureQueriesContext(connection) as queries:
        look()
    began = time.process_time()
    answer = look()
    return len(queries), (time.process_time() - began) * 1000, answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--analyses", type=int, default=2700)
    parser.add_argument("--listeners", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    with database(postgresql=options.postgresql):
        from tests.factories import make_user

        from qanat.server.queues import operations
        from qanat.server.realtime.listeners import Listener, Wants
        from qanat.server.realtime.watcher import Ledger
        from qanat.server.runs import clock

        group = fill(options.analyses)
        users = [make_user(group) for _ in range(max(options.listeners))]
        ledger = Ledger()
        ledger.look([], [])

        def each_for_themselves(count: int) -> None:
            for _ in range(count):
                look(1)

        def look(count: int) -> Any:  # noqa: ANN401 - what was told
            operations.tick(now=clock.now())
            return ledger.look([Listener(user_id=user.pk, wants=Wants.QUEUES) for user in users[:count]], [])

        print(f"{options.analyses} idle analyses on {'PostgreSQL' if options.postgresql else 'SQLite'}")
        for count in options.listeners:
            queries, milliseconds, told = measured(partial(look, count))
            size = len(told.letters[0][1][0].text)
            each, alone, _ = measured(partial(each_for_themselves, count))
            print(
                f"{count:4} listeners: {queries} queries, {milliseconds:.0f} ms, {size} bytes together; "
                f"{each} queries, {alone:.0f} ms each for themselves"
            )


if __name__ == "__main__":
    main()
