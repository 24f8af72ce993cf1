"""Proof that a request comes from a worker (the shared key) or belongs to a claimed step (the step token)."""

import hmac
from typing import Final

from django.conf import settings
from django.core import signing
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.request import Request

from qanat.contract.worker_protocol import STEP_TOKEN_SCHEME, WORKER_KEY_SCHEME

SALT: Final = "qanat.step"


def require_worker_key(request: Request) -> None:
    """Refuse a request without the workers' shared key.

    Raises:
        NotAuthenticated: no key was sent.
        PermissionDenied: it is the wrong one.
    """
    key = _credential(request, WORKER_KEY_SCHEME)
    if not hmac.compare_digest(key.encode(), settings.QANAT.worker_key.encode()):
        message = (
            "This is not the key of the server's workers. Give the worker the key from the server's data directory."
        )
        raise PermissionDenied(message)


def step_token(*, step_id: int, fence: int) -> str:
    """Return the token of a claim; it is worth nothing once the fence has gone up or the step has ended."""
    return signing.dumps([step_id, fence], salt=SALT)


def require_step_token(request: Request, *, step_id: int) -> int:
    """Return the fence of the claim that the request belongs to.

    Raises:
        NotAuthenticated: no token was sent.
        PermissionDenied: it is forged, or another step's.
    """
    try:
        claimed_id, fence = signing.loads(_credential(request, STEP_TOKEN_SCHEME), salt=SALT)
    except signing.BadSignature:
        message = "The step token is not one of this server's."
        raise PermissionDenied(message) from None
    if claimed_id != step_id:
        message = "The step token belongs to another step."
        raise PermissionDenied(message)
    return int(fence)


def _credential(request: Request, scheme: str) -> str:
    given, _, credential = request.headers.get("Authorization", "").partition(" ")
    if given != scheme or not credential:
        raise NotAuthenticated
    return credential
