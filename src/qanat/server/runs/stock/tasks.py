"""Celery entrances: what stock workers send to the worker monitor's queues (wire contract, sections 4.3 and 4.5).

Which task a message belongs to is Celery's word: a message that is sent from within a task carries its id.
"""

from datetime import timedelta
from typing import Any

from celery import Task, shared_task
from django.conf import settings
from django.db import OperationalError

from qanat.contract import tasks
from qanat.server.runs import clock
from qanat.server.runs.stock import answers
from qanat.storage.port import StorageError

TEXT_SECONDS = 3
"""How long a failure waits for its traceback, which comes in a message of its own."""
AGAIN: dict[str, Any] = {
    # Killed while it takes an answer, a monitor takes it again: taking it twice changes nothing.
    "acks_late": True,
    "autoretry_for": (OperationalError, StorageError),
    "retry_backoff": True,
    "retry_backoff_max": 60,
    "max_retries": 20,
    "bind": True,
}


def _lease() -> timedelta:
    return timedelta(seconds=settings.QANAT.stock_lease_seconds)


def _sender(task: "Task[Any, Any]") -> str:
    return answers.printable(str(task.request.origin or "stock worker"))[:255]


@shared_task(name=tasks.STOCK_DONE, **AGAIN)
def stock_done(self: "Task[Any, Any]", result: object, *, token: object) -> None:
    """Take what came of a step."""
    answers.done(token=token, result=result, worker=_sender(self), lease=_lease(), now=clock.now())


@shared_task(name=tasks.STOCK_FAILED, **AGAIN)
def stock_failed(self: "Task[Any, Any]", *_: object, token: object) -> None:
    """Take that a step has failed, with the traceback that came before or comes in a moment."""
    if not self.request.retries and not answers.has_text(token=token):
        raise self.retry(countdown=TEXT_SECONDS)
    answers.failed(token=token, text="", worker=_sender(self), lease=_lease(), now=clock.now())


@shared_task(name=tasks.STOCK_TRACEBACK, **AGAIN)
def stock_traceback(self: "Task[Any, Any]", token: object, initiator_id: object, traceback: object = "") -> None:
    """Take that a step has failed, as ``on_error`` of a V1 worker hands it on."""
    del initiator_id
    answers.failed(token=token, text=str(traceback), worker=_sender(self), lease=_lease(), now=clock.now())


def _hint(name: str) -> None:
    @shared_task(name=name, bind=True)
    def hint(self: "Task[Any, Any]", /, *args: object, **kwargs: object) -> None:
        """Take a sign of life."""
        answers.sign_of_life(
            task_id=str(self.request.parent_id or ""),
            worker=_sender(self),
            what=name,
            said=[*args, *kwargs.values()],
            lease=_lease(),
            now=clock.now(),
        )


for _name in (
    tasks.SET_TASK_STATUS,
    tasks.SET_TASK_STATUS_V2,
    tasks.RECORD_SUB_TASK_START,
    tasks.UPDATE_TASK_ID,
    tasks.SET_SUBTASK_STATUS,
    tasks.SUBTASK_ERROR_LOG,
    tasks.SUBTASK_RETRY_LOG,
    tasks.RECORD_INPUT_ERROR_FILES,
    tasks.RECORD_LOSSES_ERROR_FILES,
):
    _hint(_name)
