"""Attempts to log in, counted in the database, so that all processes of the API know of each other's.

The rules are ``domain.throttle``. An attempt costs one query, and a failure one short transaction more. While somebody
has to wait, attempts take turns: of many at once one is looked at, so guessing in parallel gains nothing.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from qanat.domain.throttle import ACCOUNT, ADDRESS, Limit, remaining, wait
from qanat.server.accounts.models import LoginFailures

FORGOTTEN_AFTER: Final = timedelta(hours=1)
"""Longer than it takes to forget the most failures one by one."""
IPV6_SITE: Final = 64
"""Bits of an address that whoever has it did not choose."""


class TooManyAttempts(Exception):
    """There were too many failures to log in; the message says how long to wait."""

    def __init__(self, seconds: float) -> None:
        """Refuse for so long."""
        self.retry_after = max(1, ceil(seconds))
        super().__init__(
            f"Too many attempts to log in have failed for this account or from this address: try again in "
            f"{self.retry_after} seconds."
        )


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """An attempt that is being looked at; say in the end how it went."""

    limits: Mapping[str, Limit]
    """By key."""
    account: str
    """The key of the account; empty where there is none."""
    password: str
    known: Mapping[str, LoginFailures]
    """What there was of the keys."""

    def failed(self, *, now: datetime) -> None:
        """Count a failure, unless it is the one of last time over again, as of a client with a wrong default."""
        account = self.known.get(self.account)
        if account and self.password and hmac.compare_digest(account.password, self.password):
            return
        with transaction.atomic():
            for key in sorted(self.limits):  # in one order, lest two wait for each other
                self._count(key, now=now)

    def succeeded(self, *, now: datetime) -> None:
        """Forget the failures of the account, and let the address go on at once."""
        if self.account in self.known:
            LoginFailures.objects.filter(pk=self.account).delete()
        if any(row.until > now for key, row in self.known.items() if key != self.account):
            LoginFailures.objects.filter(pk__in=set(self.known) - {self.account}).update(until=now)

    def _count(self, key: str, *, now: datetime) -> None:
        limit = self.limits[key]
        LoginFailures.objects.get_or_create(pk=key, defaults={"last": now, "until": now})
        row = LoginFailures.objects.select_for_update().get(pk=key)
        row.failures = 1 + _left(row, limit, now=now)
        row.last = now
        row.until = now + timedelta(seconds=wait(limit, row.failures))
        row.password = self.password if key == self.account else ""
        row.save()


def attempt(*, account: str, password: str, address: str, now: datetime) -> Attempt:
    """Begin to look at an attempt to log in.

    Args:
        account: name of the user or client; empty where none is named.
        password: what is to prove it.
        address: whence it comes.
        now: the time.

    Raises:
        TooManyAttempts: it has to wait.
    """
    name = _digest("account", account.casefold()) if account else ""
    limits = {_digest("address", _site(address)): ADDRESS} | ({name: ACCOUNT} if name else {})
    known = {row.pk: row for row in LoginFailures.objects.filter(pk__in=limits)}
    for key in sorted(known):
        _take_turn(known[key], limits[key], now=now)
    return Attempt(limits=limits, account=name, password=_digest(name, password) if name else "", known=known)


def forget(*, now: datetime) -> None:
    """Remove what is forgotten."""
    LoginFailures.objects.filter(last__lt=now - FORGOTTEN_AFTER).delete()


def address_of(request: Any) -> str:  # noqa: ANN401 - Django's or REST framework's
    """Return whence a request comes: as the outermost of our own proxies says, or as the socket does without one."""
    proxies: int = settings.QANAT.proxies
    forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    if proxies and forwarded:
        return str(forwarded[-min(proxies, len(forwarded))])
    return str(request.META.get("REMOTE_ADDR", ""))


def _take_turn(row: LoginFailures, limit: Limit, *, now: datetime) -> None:
    if row.until > now:
        raise TooManyAttempts((row.until - now).total_seconds())
    pause = wait(limit, _left(row, limit, now=now))
    if not pause:
        return
    until = now + timedelta(seconds=pause)
    if not LoginFailures.objects.filter(pk=row.pk, until=row.until).update(until=until):
        raise TooManyAttempts(pause)
    row.until = until


def _left(row: LoginFailures, limit: Limit, *, now: datetime) -> float:
    return remaining(limit, failures=row.failures, seconds=(now - row.last).total_seconds())


def _site(address: str) -> str:
    """Return what of an address whoever has it cannot change at will."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, IPV6_SITE), strict=False))


def _digest(kind: str, text: str) -> str:
    return hmac.new(
        settings.SECRET_KEY.encode(), f"{kind}:{text}".encode(errors="surrogatepass"), hashlib.sha256
    ).hexdigest()
