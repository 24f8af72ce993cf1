"""The websocket server's entry point for an ASGI server."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "qanat.server.config.settings")
django.setup()

from qanat.server.probes.application import Probes  # noqa: E402 - needs Django
from qanat.server.realtime.application import Application  # noqa: E402 - likewise

__all__ = ["application"]

application = Probes(Application())
