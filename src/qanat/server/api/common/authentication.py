"""Basic and bearer authentication whose refusal is 403, as clients expect everywhere but on the token endpoints."""

from rest_framework.authentication import BasicAuthentication
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication


class Basic(BasicAuthentication):
    """User name and password; without a challenge, so that the answer to a failure is 403."""

    def authenticate_header(self, request: Request) -> None:
        """Offer no challenge."""
        del request


class Bearer(JWTAuthentication):
    """An access token; without a challenge, as above."""

    def authenticate_header(self, request: Request) -> None:  # type: ignore[override]
        """Offer no challenge."""
        del request
