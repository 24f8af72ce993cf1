"""The websocket lets in whom the API lets in, however users log in."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.test import Client
from pytest_django import Settings

from qanat.server.accounts.authentication import proved_by
from qanat.server.realtime.application import Application
from tests.identity_provider import IdentityProvider

PATIENCE = 60.0
pytestmark = pytest.mark.django_db(transaction=True)  # the application asks the database in threads of its own


def answer_to(**headers: str) -> str:
    """Return what the websocket server says first to whoever connects with these headers."""

    async def connect() -> str:
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "websocket", "path": "/ws/v2/queue-status/", "headers": raw}
        communicator: Any = ApplicationCommunicator  # untyped
        end = communicator(Application(), scope)
        await end.send_input({"type": "websocket.connect"})
        said = await end.receive_output(PATIENCE)
        await end.send_input({"type": "websocket.disconnect"})
        await end.wait(PATIENCE)
        return str(said["type"]).removeprefix("websocket.")

    return async_to_sync(connect)()


@pytest.mark.xdist_group("identity provider")
def test_a_token_of_the_provider_opens_it(provider: IdentityProvider) -> None:
    good, forged = (provider.sign(provider.claims(iss=issuer)) for issuer in (provider.issuer, "https://evil.example"))

    assert answer_to(authorization=f"Bearer {good}") == "accept"
    assert answer_to(authorization=f"Bearer {forged}") == "close"
    assert answer_to() == "close"


@pytest.mark.xdist_group("identity provider")
def test_what_is_opened_with_a_token_of_the_provider_ends_with_it(provider: IdentityProvider) -> None:
    claims = provider.claims()
    token = provider.sign(claims)

    socket = proved_by({"authorization": f"Bearer {token}"})
    stream: Any = Client().get("/api/v2/events/", headers={"Authorization": f"Bearer {token}"})

    assert socket is not None
    assert (socket.until, stream.until) == (claims["exp"], claims["exp"])


@pytest.mark.xdist_group("identity provider")
def test_nobody_comes_in_while_the_provider_is_away(provider: IdentityProvider, settings: Settings) -> None:
    settings.QANAT = settings.QANAT.model_copy(update={"oidc_endpoint": "http://127.0.0.1:1/o"})

    assert answer_to(authorization=f"Bearer {provider.sign(provider.claims())}") == "close"


@pytest.mark.usefixtures("nobody_logs_in")
@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({"host": "localhost:8001"}, "accept"),
        ({"host": "localhost:8001", "origin": "http://localhost:8001"}, "accept"),
        ({"host": "localhost:8001", "origin": "https://evil.example"}, "close"),
        ({"host": "evil.example", "origin": "https://evil.example"}, "close"),  # its name leads here
    ],
)
def test_where_nobody_logs_in_it_is_open_but_for_pages_of_other_sites(
    settings: Settings, headers: dict[str, str], answer: str
) -> None:
    settings.ALLOWED_HOSTS = ["localhost"]

    assert answer_to(**headers) == answer
