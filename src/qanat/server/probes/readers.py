"""Who may read the metrics: they name models, and tell how much work there is."""

import hmac
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings

from qanat.domain.hosts import is_loopback
from qanat.server.realtime.answers import Answer

FORWARDED: Final = (b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via")
"""Whoever comes through a proxy is not on this machine, though the proxy may be."""
HERE_ONLY: Final = Answer.json(
    HTTPStatus.FORBIDDEN,
    '{"detail":"Metrics are told on this machine only. Set QANAT_METRICS_TOKEN, and send it as a bearer token, to read '
    'them from elsewhere."}',
)
NO_TOKEN: Final = Answer.json(
    HTTPStatus.UNAUTHORIZED,
    '{"detail":"Send the token of QANAT_METRICS_TOKEN: Authorization: Bearer TOKEN."}',
    ("WWW-Authenticate", 'Bearer realm="metrics"'),
)


def refusal(scope: Mapping[str, Any]) -> Answer | None:
    """Return the answer to somebody who may not read them: without the token, or without one, from elsewhere."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    token: str = settings.QANAT.metrics_token
    if token:
        return None if _has(token, headers) else NO_TOKEN
    return None if _is_here(scope.get("client"), headers) else HERE_ONLY


def _has(token: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    given = next((value for name, value in headers if name == b"authorization"), b"")
    scheme, _, sent = given.partition(b" ")
    return scheme.lower() == b"bearer" and hmac.compare_digest(sent.strip(), token.encode())


def _is_here(client: tuple[str, int] | None, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Say whether somebody on this machine asks; a page in their browser that got hold of a name for it does not."""
    host = next((value.decode("latin-1") for name, value in headers if name == b"host"), "")
    through_proxy = any(name in FORWARDED for name, _ in headers)
    return client is not None and is_loopback(_bracketed(client[0])) and is_loopback(host) and not through_proxy


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
