"""The server's Celery app: doorbells in JSON, no result backend, nothing kept in messages."""

import os

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

from qanat import logs
from qanat.amqp import CONNECTIONS, transport_options

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "qanat.server.config.settings")
# Celery would have Django check itself, which imports all routes: a second, and a fifth of the memory of each process
# that has no use for them. Tests check.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("qanat", amqp="qanat.amqp:Amqp")
app.conf.update(
    broker_url=settings.QANAT.broker,
    broker_use_ssl=settings.QANAT.broker_tls,
    **CONNECTIONS,
    broker_transport_options=transport_options(settings.QANAT.broker),
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    result_backend=None,
    task_create_missing_queues=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    enable_utc=True,
)
app.set_default()
setup_logging.connect(logs.leave_as_it_is, weak=False)
app.autodiscover_tasks(
    ["qanat.server.runs", "qanat.server.runs.stock", "qanat.server.risk_models", "qanat.server.queues"]
)
