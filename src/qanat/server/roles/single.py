"""The roles as processes of their own."""

import logging
import sys
import warnings
from collections.abc import Callable
from datetime import timedelta

from celery.exceptions import SecurityWarning
from django.conf import settings
from django.db import connections

from qanat.contract import queues, tasks
from qanat.server.config.celery import app
from qanat.server.roles import preparation
from qanat.server.runs.controller import start_controller, start_reaper

logger = logging.getLogger(__name__)

REAP_EVERY_SHARE_OF_LEASE = 4
BEAT_EVERY_SECONDS = 60.0
STORAGE_EVERY_SECONDS = 6 * 3600.0


def api(*, host: str, port: int, websocket_port: int) -> None:
    """Serve HTTP."""
    del websocket_port
    from qanat.server.roles.api import ApiServer  # noqa: PLC0415 - needed by this role only

    ApiServer(bind=f"{host}:{port}").run()


def websocket(*, host: str, port: int, websocket_port: int) -> None:
    """Serve websockets."""
    del port
    from qanat.server.roles.websocket import serve  # noqa: PLC0415 - needed by this role only

    serve(host=host, port=websocket_port)


def monitor(**_: object) -> None:
    """Consume what workers report, record results, and reap leases."""
    lease = timedelta(seconds=settings.QANAT.lease_seconds)
    start_reaper(interval=lease.total_seconds() / REAP_EVERY_SHARE_OF_LEASE, lease=lease)
    _consume("monitor", [queues.V1_RECORDS, queues.V2_RECORDS])


def task_controller(**_: object) -> None:
    """Plan runs and release their steps."""
    start_controller(interval=settings.QANAT.dispatch_interval_seconds)
    _consume("task-controller", [queues.TASK_CONTROLLER])


def beat(**_: object) -> None:
    """Send the periodic tasks."""
    app.conf.beat_schedule = {
        "housekeeping": {
            "task": tasks.HOUSEKEEPING,
            "schedule": BEAT_EVERY_SECONDS,
            "options": {"queue": queues.V2_RECORDS, "expires": BEAT_EVERY_SECONDS},
        },
        "queue digest": {
            "task": tasks.QUEUE_DIGEST,
            "schedule": settings.QANAT.digest_interval_seconds,
            "options": {"queue": queues.V2_RECORDS, "expires": settings.QANAT.digest_interval_seconds},
        },
        "unfinished uploads": {
            "task": tasks.DISCARD_UNFINISHED,
            "schedule": STORAGE_EVERY_SECONDS,
            "options": {"queue": queues.V2_RECORDS, "expires": STORAGE_EVERY_SECONDS},
        },
    }
    schedule = settings.QANAT.data_dir / "beat-schedule"
    app.Beat(schedule=str(schedule), quiet=True).run()


def _consume(name: str, names: list[str]) -> None:
    # Celery warns of pickled messages to a superuser's process; ours are JSON.
    warnings.simplefilter("ignore", SecurityWarning)
    app.Worker(
        queues=names,
        pool="threads",
        concurrency=2,
        hostname=f"{name}@%h",
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
        quiet=True,
    ).start()


SERVING: dict[str, Callable[..., None]] = {
    "api": api,
    "websocket": websocket,
    "monitor": monitor,
    "task-controller": task_controller,
    "beat": beat,
}
WITHOUT_HTTP = ("monitor", "task-controller", "beat")


def run(role: str, *, host: str, port: int, websocket_port: int) -> int:
    """Run one role until it is told to stop."""
    if role == "migrate":
        preparation.migrate_tables(sys.stdout)
        return 0
    if role == "api":
        if settings.QANAT.startup_run_migrations:
            preparation.migrate_tables()
        preparation.given_admin()
        connections.close_all()  # before the API forks
    if role in WITHOUT_HTTP and settings.QANAT.probe_port:
        from qanat.server.roles import listener  # noqa: PLC0415 - needed where it is asked for only

        listener.listen(host=host, port=settings.QANAT.probe_port)
    SERVING[role](host=host, port=port, websocket_port=websocket_port)
    return 0
