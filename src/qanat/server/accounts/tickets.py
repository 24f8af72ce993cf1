"""What is good once, and not for long: its bearer has it, the database knows that it has not been used."""

import hashlib
import json
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from joserfc import jwe
from joserfc.jwk import OctKey

from qanat.server.accounts.models import Ticket


def issue(content: Any, *, lifetime: timedelta, now: datetime) -> str:  # noqa: ANN401 - JSON
    """Keep content for whoever brings the ticket that is returned."""
    ticket = secrets.token_urlsafe(32)
    sealed = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, json.dumps(content), _seal())
    Ticket.objects.create(digest=_digest(ticket), expires=now + lifetime, content=sealed)
    return ticket


def redeem(ticket: str, *, now: datetime) -> Any:  # noqa: ANN401 - JSON
    """Return what was kept, for the first who asks in time; None for anybody else."""
    with transaction.atomic():
        found = Ticket.objects.select_for_update().filter(digest=_digest(ticket), expires__gt=now).first()
        if found is None or not found.content or not Ticket.objects.filter(pk=found.pk).delete()[0]:
            return None
    return json.loads(jwe.decrypt_compact(found.content, _seal()).plaintext or b"null")


def spend(ticket: str, *, lifetime: timedelta, now: datetime) -> bool:
    """Return whether this is the first time that somebody brings what was not kept here, such as a signed cookie."""
    try:
        with transaction.atomic():
            Ticket.objects.create(digest=_digest(ticket), expires=now + lifetime)
    except IntegrityError:
        return False
    return True


def forget(*, now: datetime) -> None:
    """Remove what is good no longer."""
    Ticket.objects.filter(expires__lt=now).delete()


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode(errors="surrogatepass")).hexdigest()


def _seal() -> OctKey:
    return OctKey.import_key(
        hashlib.blake2b(settings.SECRET_KEY.encode(), person=b"qanat tickets", digest_size=32).digest()
    )
