"""Django's handle on the engine."""

from django.apps import AppConfig


class RunsConfig(AppConfig):
    """The engine's tables."""

    name = "qanat.server.runs"
    label = "runs"
    default_auto_field = "django.db.models.BigAutoField"
