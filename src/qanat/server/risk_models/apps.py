"""Django's handle on the models."""

from django.apps import AppConfig


class RiskModelsConfig(AppConfig):
    """The tables of the models."""

    name = "qanat.server.risk_models"
    label = "risk_models"
    default_auto_field = "django.db.models.BigAutoField"
