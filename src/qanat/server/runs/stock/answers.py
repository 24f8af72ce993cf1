"""A stock worker answers: it lives, it is done, it has failed. The engine claims, commits and fails in its stead."""

import logging
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction

from qanat.contract import tasks
from qanat.contract.statuses import AnalysisStatus, FailureClass, StepState
from qanat.domain import step_state
from qanat.server.files.storage import storage
from qanat.server.runs import claims
from qanat.server.runs.claims import StepRefused
from qanat.server.runs.commit import commit
from qanat.server.runs.failure import AttemptFailed, fail
from qanat.server.runs.models import Step, StockQueue
from qanat.server.runs.stock import results
from qanat.server.runs.stock.references import ReferenceRefused, take
from qanat.server.runs.stock.tokens import step_and_fence

logger = logging.getLogger(__name__)

ANSWERED: Final = "answered"
"""Among a step's resources: its worker answers the roll call, which sets the lease from then on."""
NO_KEYS: Final = "no_keys"
ERROR_LOG: Final = "error_log"
"""What else its worker has said."""
MOST_TEXT: Final = 2**16
"""Characters of a traceback that are kept."""


def done(*, token: object, result: object, worker: str, lease: timedelta, now: datetime) -> bool:
    """Commit a step with the result of its worker, or fail it where that is what the result says or deserves.

    Returns:
        Whether it changed anything: an answer that comes twice, late or with a made-up token does not.
    """
    try:
        step = _held(token, worker=worker, lease=lease, now=now)
        try:
            answer = results.read(step, result)
        except results.ResultRefused as refused:
            _fail(step, message=str(refused), now=now)
            return True
        if answer.log is not None:
            step.log_parts = [answer.log.key]
            _running(step).update(log_parts=step.log_parts)
        if answer.failed:
            message = "The model's worker reports that it failed: see its log."
            _fail(step, message=message, answer=answer, now=now)
        else:
            commit(
                step=step,
                outputs=answer.outputs,
                facts=answer.facts,
                resources=_with_originals(step, answer.originals),
                now=now,
            )
    except StepRefused as refusal:
        logger.info("Not taken of the stock worker %s: %s", worker, refusal)
        _note_files_of_refused(token, result)
        return False
    return True


def failed(*, token: object, text: str, worker: str, lease: timedelta, now: datetime) -> bool:
    """Fail a step with its worker's traceback, or with what its worker has sent of one before; see ``done``."""
    try:
        step = _held(token, worker=worker, lease=lease, now=now)
        _fail(step, message="The model's worker reports an error.", text=text, now=now)
    except StepRefused as refusal:
        logger.info("Not taken of the stock worker %s: %s", worker, refusal)
        return False
    return True


def has_text(*, token: object) -> bool:
    """Say whether the worker of a step has sent a traceback already, or there is none to be waited for."""
    try:
        step_id, fence = step_and_fence(token)
        return ERROR_LOG in claims.held(step_id=step_id, fence=fence).resources
    except StepRefused:
        return True


def sign_of_life(  # noqa: PLR0913 - what a message says
    *, task_id: str, worker: str, what: str, said: Collection[object], lease: timedelta, now: datetime
) -> bool:
    """Note that the task lives: claim its step in its worker's name, or extend the lease; return whether it is known.

    Args:
        task_id: of the task that sent the message, by Celery's own account; other models' workers do not know it.
        worker: who sent it.
        what: name of the message.
        said: its arguments.
        lease: how long the step is left to the worker now.
        now: the database's time.
    """
    step = Step.objects.filter(celery_id=task_id, queue__in=StockQueue.objects.values("name")).first()
    if step is None:
        logger.debug("%s from %s belongs to no step under way", what, worker)
        return False
    try:
        step = _begun(step, worker=worker, lease=lease, now=now)
        with transaction.atomic():
            _, step = claims.hold(step_id=step.pk, fence=step.fence)
            changes = _told(step, what=what, said=said)
            if not step.resources.get(ANSWERED):
                changes["lease_until"] = now + lease
            _running(step).update(**changes)
    except StepRefused as refusal:
        logger.debug("%s from %s comes too late: %s", what, worker, refusal)
        return False
    return True


def answered(*, task_id: str, worker: str, lease: timedelta, now: datetime) -> None:
    """Note that a worker answered the roll call with this task: from now on its lease depends on its answers."""
    if not sign_of_life(task_id=task_id, worker=worker, what="roll call", said=(), lease=lease, now=now):
        return
    with suppress(StepRefused), transaction.atomic():
        for step in Step.objects.filter(celery_id=task_id):
            _, held = claims.hold(step_id=step.pk, fence=step.fence)
            _running(held).update(lease_until=now + lease, resources={**held.resources, ANSWERED: True})


def _told(step: Step, *, what: str, said: Collection[object]) -> dict[str, Any]:
    """Return what of a message is kept: it names no result and ends nothing."""
    if AnalysisStatus.INPUTS_GENERATION_NO_KEYS in said:
        return {"resources": {**step.resources, NO_KEYS: True}}
    if what not in {tasks.SUBTASK_RETRY_LOG, tasks.SUBTASK_ERROR_LOG}:
        return {}
    changes: dict[str, Any] = {"retries": step.retries + 1} if what == tasks.SUBTASK_RETRY_LOG else {}
    for text in (text for text in said if isinstance(text, str)):
        with suppress(ReferenceRefused):
            original, log = take(text, step=step)
            changes["resources"] = _with_originals(step, [original])
            if what == tasks.SUBTASK_ERROR_LOG:
                changes["resources"][ERROR_LOG] = log.key
    return changes


def _with_originals(step: Step, keys: Collection[str]) -> dict[str, Any]:
    """Return a step's resources with its worker's own objects in them, which are removed with what the run leaves."""
    return {**step.resources, "originals": sorted({*step.resources.get("originals", ()), *keys})}


def _note_files_of_refused(token: object, result: object) -> None:
    """Have the files of an answer that changes nothing removed with what the run leaves."""
    with suppress(StepRefused), transaction.atomic():
        step_id, _ = step_and_fence(token)
        step = Step.objects.select_for_update().filter(pk=step_id).first()
        if step is not None:
            keys = results.named_in(step, result)
            Step.objects.filter(pk=step_id).update(resources=_with_originals(step, keys))


def _held(token: object, *, worker: str, lease: timedelta, now: datetime) -> Step:
    """Return the step of a token, running; claimed just now where no sign of life came before.

    Raises:
        StepRefused: it has ended, or it is another's by now.
    """
    step_id, fence = step_and_fence(token)
    return _begun(claims.load(step_id, fence=fence), worker=worker, lease=lease, now=now)


def _begun(step: Step, *, worker: str, lease: timedelta, now: datetime) -> Step:
    # Messages of one step are read side by side: whichever is first claims it, and the others change nothing here.
    with suppress(StepRefused), transaction.atomic():
        _, now_as = claims.locked(step.pk)
        if now_as.fence == step.fence and now_as.state in step_state.CLAIMABLE:
            claims.claim(step_id=step.pk, fence=step.fence, worker=worker, lease=lease, now=now)
            # What was said of an earlier attempt is forgotten. What stock workers hand on lies where no row tells, so
            # no later run may take it over.
            kept = {name: told for name, told in now_as.resources.items() if name == "originals"}
            Step.objects.filter(pk=step.pk, fence=step.fence).update(digest="", resources=kept)
    return claims.held(step_id=step.pk, fence=step.fence)


def _running(step: Step) -> Any:  # noqa: ANN401 - a query
    return Step.objects.filter(pk=step.pk, fence=step.fence, state=StepState.RUNNING)


def _fail(step: Step, *, message: str, now: datetime, text: str = "", answer: results.Answer | None = None) -> None:
    step = claims.held(step_id=step.pk, fence=step.fence)
    attempt = AttemptFailed(
        failure_class=FailureClass.MODEL,
        message=message,
        traceback=printable(text or _error_log(step)),
        no_keys=bool(step.resources.get(NO_KEYS)),
        final=True,
        outputs=answer.outputs if answer else {},
        resources=_with_originals(step, answer.originals if answer else []),
    )
    fail(step_id=step.pk, fence=step.fence, attempt=attempt, now=now)


def _error_log(step: Step) -> str:
    key = step.resources.get(ERROR_LOG)
    if not key:
        return ""
    with storage().open(key) as stream:
        return stream.read(MOST_TEXT).decode(errors="replace")


def printable(text: str) -> str:
    """Return the end of a text without what files and databases refuse: NULs and halves of characters."""
    return text[-MOST_TEXT:].replace("\0", "\ufffd").encode(errors="replace").decode()
