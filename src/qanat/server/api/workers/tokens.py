"""Proof that a request comes from a worker (the shared key) or belongs to a claimed step (the step token)."""

import hmac
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.core import signing
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.request import Request

from qanat.contract.worker_protocol import STEP_TOKEN_SCHEME, WORKER_KEY_SCHEME
from qanat.server.api.common.policy import Policy

SALT: Final = "qanat.step"


class WorkerKey(Policy):
    """Whoever has the workers' shared key."""

    of_users = False

    def admit(self, view: Any, request: Request) -> None:  # noqa: ANN401 - as declared
        """Let workers in."""
        del view
        key = _credential(request, WORKER_KEY_SCHEME)
        if not hmac.compare_digest(key.encode(), settings.QANAT.worker_key.encode()):
            message = (
                "This is not the key of the server's workers. Give the worker the key from the server's data directory."
            )
            raise PermissionDenied(message)


class StepToken(Policy):
    """Whoever holds the token of a claim on the step that the route names; the view learns the claim's fence."""

    of_users = False

    def admit(self, view: Any, request: Request) -> None:  # noqa: ANN401 - as declared
        """Let the holder of the claim in."""
        view.fence = _fence(request, step_id=view.kwargs["step_id"])


WORKER_KEY = WorkerKey()
STEP_TOKEN = StepToken()


def step_token(*, step_id: int, fence: int) -> str:
    """Return the token of a claim; it is worth nothing once the fence has gone up or the step has ended."""
    return signing.dumps([step_id, fence], salt=SALT)


class NotOurs(Exception):
    """A step token that this server has not given."""


@dataclass(frozen=True, kw_only=True)
class ClaimedStep:
    """What a step token was given for; whether the claim still holds, only the step knows."""

    step_id: int
    fence: int


def claimed_step(token: str) -> ClaimedStep:
    """Return what a token was given for.

    Raises:
        NotOurs: this server has not given it.
    """
    try:
        step_id, fence = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        message = "The step token is not one of this server's."
        raise NotOurs(message) from None
    return ClaimedStep(step_id=step_id, fence=fence)


def _fence(request: Request, *, step_id: int) -> int:
    """Return the fence of the claim that the request belongs to."""
    try:
        claimed = claimed_step(_credential(request, STEP_TOKEN_SCHEME))
    except NotOurs as error:
        raise PermissionDenied(str(error)) from None
    if claimed.step_id != step_id:
        message = "The step token belongs to another step."
        raise PermissionDenied(message)
    return claimed.fence


def _credential(request: Request, scheme: str) -> str:
    given, _, credential = request.headers.get("Authorization", "").partition(" ")
    if given != scheme or not credential:
        raise NotAuthenticated
    return credential
