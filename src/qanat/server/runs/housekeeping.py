"""What is tidied up now and then; nothing depends on it being done."""

import logging
from datetime import datetime, timedelta

from qanat.server.accounts.operations import forget_expired_logins
from qanat.server.files.operations import clear_uploads
from qanat.server.files.storage import storage
from qanat.server.runs import clearing
from qanat.server.runs.models import Worker

logger = logging.getLogger(__name__)

WORKER_IS_FORGOTTEN_AFTER = timedelta(days=1)
UPLOAD_IS_GIVEN_UP_AFTER = timedelta(days=1)


def tidy(*, now: datetime) -> None:
    """Forget workers that have not been seen for a day, tokens that have expired, and what nobody needs in storage.

    So much of it at a time that the next tick is not kept waiting.
    """
    Worker.objects.filter(last_seen__lt=now - WORKER_IS_FORGOTTEN_AFTER).delete()
    forget_expired_logins(now=now)
    if runs := clearing.forget_old(now=now):
        logger.info("What %d old runs have left is removed in a day", runs)
    clearing.remove_unsettled(now=now)


def discard_unfinished_uploads(*, now: datetime) -> None:
    """Free what uploads take, in storage and on their way to it, whose senders or servers were killed a day ago."""
    before = now - UPLOAD_IS_GIVEN_UP_AFTER
    clear_uploads(before=before)
    storage().discard_unfinished(before=before)
