"""What is tidied up now and then; nothing depends on it being done."""

from datetime import datetime, timedelta

from qanat.server.accounts.operations import forget_expired_logins
from qanat.server.files.operations import clear_uploads
from qanat.server.files.storage import storage
from qanat.server.runs.models import Worker

WORKER_IS_FORGOTTEN_AFTER = timedelta(days=1)
UPLOAD_IS_GIVEN_UP_AFTER = timedelta(days=1)


def tidy(*, now: datetime) -> None:
    """Forget workers that have not been seen for a day, and tokens that have expired."""
    Worker.objects.filter(last_seen__lt=now - WORKER_IS_FORGOTTEN_AFTER).delete()
    forget_expired_logins(now=now)


def discard_unfinished_uploads(*, now: datetime) -> None:
    """Free what uploads take, in storage and on their way to it, whose senders or servers were killed a day ago."""
    before = now - UPLOAD_IS_GIVEN_UP_AFTER
    clear_uploads(before=before)
    storage().discard_unfinished(before=before)
