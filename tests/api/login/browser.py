"""A browser that logs in through the identity provider, and what it can be made to do."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from django.test import Client

from tests.identity_provider import IdentityProvider

AUTHORIZE = "/api/oidc/authorize/"
CALLBACK = "/api/oidc/callback/"
SESSION_TOKEN = "/api/oidc/session_token/"


def query_of(address: str) -> dict[str, str]:
    """Return the query of an address, each name once."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


@dataclass
class Browser:
    """One user's browser: its cookies of our server, and those of the provider."""

    provider: IdentityProvider
    here: Client = field(default_factory=Client)

    def begin(self, **query: str) -> str:
        """Begin to log in, and return where the provider is to be found."""
        answer = self.here.get(AUTHORIZE, query, secure=True)
        assert answer.status_code == 302, answer.content
        return str(answer["Location"])

    def log_in(self, address: str, *, username: str = "anna") -> dict[str, str]:
        """Log in at the provider, and return the query with which it sends the browser back."""
        with self.provider.browser() as there:
            back = self.provider.log_in(there, address, username=username)
        assert back.startswith(f"https://qanat.example{CALLBACK}?")
        return query_of(back)

    def come_back(self, query: dict[str, str]) -> Any:  # noqa: ANN401 - an answer to the test client
        """Come back from the provider."""
        return self.here.get(CALLBACK, query, secure=True)

    def tokens(self, *, username: str = "anna") -> dict[str, str]:
        """Log in from beginning to end."""
        found = self.come_back(self.log_in(self.begin(), username=username))
        assert found.status_code == 302, found.content
        ticket = query_of(str(found["Location"]))["session_token"]
        answer = self.here.post(SESSION_TOKEN, {"session_token": ticket})
        assert answer.status_code == 200, answer.content
        return dict(answer.json())


def exchange_directly(provider: IdentityProvider, form: dict[str, str], auth: tuple[str, str]) -> httpx.Response:
    """Ask the provider's token endpoint without our server."""
    return httpx.post(f"{provider.issuer}/token/", data=form, auth=auth, timeout=60)
