"""The server's settings, read and checked.

What is secret and not given is generated on first start and kept in the data directory, readable by its owner only.
"""

import os
from typing import Final

from qanat.configuration.server import GENERATED, ServerSettings
from qanat.configuration.sources import BadSettings, Sources
from qanat.storage.secret_files import keep_secret

__all__ = ["BadSettings", "ServerSettings", "load", "refuse_weak_secrets"]

KNOWN_WEAK: Final = {"", "secret", "changeme", "password", "django-insecure"}
SHORTEST_SECRET: Final = 32


def load() -> ServerSettings:
    """Read the sources and complete the secrets.

    Raises:
        BadSettings: a setting is malformed, or a secret is too weak to start with.
    """
    settings = ServerSettings.read(Sources.read(os.environ))
    refuse_weak_secrets(settings)
    for name in GENERATED:
        if not getattr(settings, name):
            setattr(settings, name, keep_secret(settings.data_dir / name))
    settings.token_signing_key = settings.token_signing_key or settings.secret_key
    return settings


def refuse_weak_secrets(settings: ServerSettings) -> None:
    """Look at the keys that are given; who debugs may have weak ones.

    Raises:
        BadSettings: one is too weak to start with.
    """
    if settings.debug:
        return
    for name in ("secret_key", "token_signing_key", "worker_key", "metrics_token"):
        given = getattr(settings, name)
        if given and (given.lower() in KNOWN_WEAK or len(given) < SHORTEST_SECRET):
            generated = f" and one is generated in {settings.data_dir}" if name in GENERATED else ""
            message = (
                f"{settings.origin(name)} is too weak: give at least {SHORTEST_SECRET} random characters, or leave it "
                f"out{generated}."
            )
            raise BadSettings(message)
