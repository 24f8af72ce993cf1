"""Proof that an answer belongs to a step: a stock worker hands it back unread, in the links of its message.

It opens none of the endpoints of our own workers: its salt is another.
"""

from typing import Final

from django.core import signing

from qanat.server.runs.claims import StepRefused
from qanat.server.runs.models import Step

SIGNER: Final = signing.Signer(salt="qanat.stock_step")
"""Signs no time: a message that is sent again is the same."""


def token_of(step: Step) -> str:
    """Return the token of a step under its present fence."""
    return SIGNER.sign_object([step.pk, step.fence])


def step_and_fence(token: object) -> tuple[int, int]:
    """Return what a token stands for.

    Raises:
        StepRefused: it is none of this server's.
    """
    try:
        step_id, fence = SIGNER.unsign_object(str(token))
    except signing.BadSignature:
        message = "The answer comes with no token of this server: somebody has made it up."
        raise StepRefused(message) from None
    return int(step_id), int(fence)
