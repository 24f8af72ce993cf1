"""Make the provider's people and clients, and serve."""

import socket

import django
import uvicorn
from django.core.asgi import get_asgi_application
from django.core.management import call_command

from tests.identity_provider import (
    CALLBACK,
    CLIENT,
    GROUPS,
    OTHER_CALLBACK,
    PASSWORD,
    ROBOT,
    ROBOT_SECRET,
    SECRET,
    TERSE,
)
from tests.identity_provider.settings import CERTIFICATE, FOLDER


def populate() -> None:
    """Make people and clients."""
    from django.contrib.auth.models import Group, User  # noqa: PLC0415 - Django has to be set up
    from oauth2_provider.models import Application  # noqa: PLC0415 - the same

    for username, groups in GROUPS.items():
        user = User.objects.create_user(username, password=PASSWORD)
        user.groups.set([Group.objects.get_or_create(name=name)[0] for name in groups])
    shared = {"client_type": "confidential", "algorithm": "RS256", "skip_authorization": True}
    for client in (CLIENT, TERSE):
        Application.objects.create(
            client_id=client,
            client_secret=SECRET,
            authorization_grant_type="authorization-code",
            redirect_uris=f"{CALLBACK} {OTHER_CALLBACK}",
            post_logout_redirect_uris="https://qanat.example/",
            **shared,
        )
    Application.objects.create(
        client_id=ROBOT, client_secret=ROBOT_SECRET, authorization_grant_type="client-credentials", **shared
    )


def serve() -> None:
    """Serve, and say where."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        config = uvicorn.Config(get_asgi_application(), lifespan="off", ws="none", ssl_certfile=CERTIFICATE or None)
        address = FOLDER / "address"
        written = address.with_suffix(".part")
        written.write_text(f"{'https' if CERTIFICATE else 'http'}://127.0.0.1:{listener.getsockname()[1]}")
        written.rename(address)
        uvicorn.Server(config).run(sockets=[listener])


django.setup()
call_command("migrate", verbosity=0)
populate()
serve()
