"""The worker process: registers its model, listens on the model's queues, and hands doorbells to the supervisor.

The internal worker is the same without a model: its queue is its own, and its steps need none.

Celery only listens here: a doorbell is put aside at once (``slots``) and its message acknowledged, for a lost one rings
again.
"""

import logging
import logging.config
import os
import signal
import threading
import warnings

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging, worker_shutting_down
from kombu.exceptions import OperationalError as BrokerUnavailable

from qanat import __version__, logs
from qanat.amqp import CONNECTIONS, transport_options
from qanat.configuration.report import log_at_start
from qanat.configuration.sources import Sources
from qanat.contract import tasks
from qanat.contract.queues import INTERNAL_WORKER, model_of, model_queue, records_queue
from qanat.contract.statuses import RunMode
from qanat.contract.worker_protocol import OURS, Hello
from qanat.worker import compiled
from qanat.worker.apart import keep_apart
from qanat.worker.identity import ModelIdentity, identify, internal
from qanat.worker.run_dir import sweep
from qanat.worker.server import HttpServer, Refused, Server, ServerAway
from qanat.worker.settings import WorkerSettings
from qanat.worker.slots import Doorbell, Slots
from qanat.worker.supervisor import Supervisor
from qanat.worker.versions import versions

logger = logging.getLogger(__name__)

HELLO_AGAIN_SECONDS = 0.3


def run(settings: WorkerSettings) -> int:
    """Work until told to stop; return the exit code.

    Raises:
        ModelDirectoryError: the directory holds no model.
    """
    _start_log(settings)
    model = _identity(settings)
    logs.process_is("worker", model=model_of(_queues(settings, model)[0]))
    settings.work_dir.mkdir(parents=True, exist_ok=True)
    keep_apart(settings.work_dir)
    sweep(settings.work_dir, grace_seconds=settings.kill_after_seconds)
    server = HttpServer(settings.server, worker_key=settings.worker_key)
    supervisor = Supervisor(settings=settings, model=model, server=server)
    # Steps without a model are too rare to keep the kernel in memory for.
    if settings.warm_seconds is None and settings.model_dir is not None:
        supervisor.warm_up()
    compiling = None if settings.model_dir is None else compiled.InBackground(settings.work_dir)
    app = _listener(settings)
    slots = Slots(settings.slots, supervisor.run)

    @app.task(name=tasks.RUN_STEP)
    def run_step(*, step_id: int, fence: int, alone: bool = True) -> None:
        """Put the doorbell aside."""
        slots.ring(Doorbell(step_id=step_id, fence=fence, alone=alone))

    stopping = threading.Event()
    threading.Thread(target=supervisor.look_after_kept, args=(stopping,), name="kept", daemon=True).start()
    hellos = threading.Thread(
        target=_say_hello, args=(app, settings, model, server, supervisor, stopping), name="hello", daemon=True
    )
    hellos.start()

    @worker_shutting_down.connect(weak=False)
    def drain(**_: object) -> None:
        """Hand back what runs; the listener stops by itself."""
        threading.Thread(target=supervisor.drain, name="drain").start()

    # Celery warns of pickled messages to a superuser's process; ours are JSON.
    warnings.simplefilter("ignore", SecurityWarning)
    _watch_parent(settings.parent_fd)
    app.Worker(
        queues=_queues(settings, model),
        pool="solo",
        concurrency=1,
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
        hostname=f"{model.model_id}@{settings.name}",
        quiet=True,
    ).start()
    stopping.set()
    if compiling is not None:
        compiling.close()
    supervisor.drain()
    slots.close()
    hellos.join()
    return 0


def _start_log(settings: WorkerSettings) -> None:
    """Log to standard error."""
    logging.config.dictConfig(logs.configuration(form=settings.log_format, level=settings.own_level))
    logs.catch_the_rest()
    setup_logging.connect(logs.leave_as_it_is, weak=False)
    logs.process_is("worker")
    log_at_start(Sources.read(os.environ))


def _listener(settings: WorkerSettings) -> Celery:
    app = Celery("qanat-worker", broker=settings.broker, amqp="qanat.amqp:Amqp")
    app.conf.update(
        broker_use_ssl=settings.broker_tls,
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        result_backend=None,
        **CONNECTIONS,
        broker_transport_options=transport_options(settings.broker),
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
    )
    return app


def _identity(settings: WorkerSettings) -> ModelIdentity:
    if settings.model_dir is None:
        return internal()
    return identify(
        settings.model_dir,
        supplier_id=settings.supplier_id,
        model_id=settings.model_id,
        version_id=settings.version_id,
        config=settings.config,
        settings_file=settings.settings_file,
    )


def _queues(settings: WorkerSettings, model: ModelIdentity) -> list[str]:
    if settings.model_dir is None:
        return [INTERNAL_WORKER]
    return [
        model_queue(
            supplier_id=model.supplier_id, model_id=model.model_id, version_id=model.version_id, run_mode=run_mode
        )
        for run_mode in RunMode
    ]


def _register(app: Celery, settings: WorkerSettings, model: ModelIdentity) -> None:
    """Send the registration message (wire contract, section 5.1)."""
    v2 = settings.run_mode is RunMode.V2
    ours = {**versions(), OURS: __version__}
    args = [model.supplier_id, model.model_id, model.version_id, model.settings, ours]
    app.send_task(
        tasks.REGISTER_V2 if v2 else tasks.REGISTER_V1,
        args=[*args, model.config] if v2 else args,
        queue=records_queue(settings.run_mode),
        retry=False,
        ignore_result=True,
    )
    logger.info("versions: %s", versions())


def _say_hello(  # noqa: PLR0913, PLR0917 - all that it tells
    app: Celery,
    settings: WorkerSettings,
    model: ModelIdentity,
    server: Server,
    supervisor: Supervisor,
    stopping: threading.Event,
) -> None:
    """Register once the broker takes it, and say hello until the end."""
    # The internal worker has none to register.
    registered = settings.model_dir is None or settings.disable_worker_reg
    every, away = HELLO_AGAIN_SECONDS, False
    hello = Hello(
        worker=settings.name, queues=_queues(settings, model), slots=settings.slots, draining=False, versions=versions()
    )
    while True:
        try:
            if not registered:
                _register(app, settings, model)
                registered = True
            every = server.hello({**hello, "draining": supervisor.draining.is_set()})["every_seconds"]
            if away:
                logger.info("Server and broker are there")
            away = False
        except (BrokerUnavailable, ServerAway, OSError) as error:
            if not away:
                logger.warning("Server or broker is away, tried every %s s: %s", HELLO_AGAIN_SECONDS, error)
            every, away = HELLO_AGAIN_SECONDS, True
        except Refused as refusal:
            logger.error("The server refuses this worker: %s", refusal)  # noqa: TRY400 - the sentence says it all
        if stopping.wait(every):
            break
    try:
        server.hello({**hello, "draining": True, "slots": 0})
    except (ServerAway, Refused):
        logger.debug("The server is away; it will notice that the worker is gone")


def _watch_parent(descriptor: int | None) -> None:
    """Drain when the process that started the worker is gone."""
    if descriptor is None:
        return

    def watch() -> None:
        os.read(descriptor, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="watch parent", daemon=True).start()
