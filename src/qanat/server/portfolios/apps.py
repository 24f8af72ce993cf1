"""Django's handle on the portfolios."""

from django.apps import AppConfig


class PortfoliosConfig(AppConfig):
    """The tables of the portfolios."""

    name = "qanat.server.portfolios"
    label = "portfolios"
    default_auto_field = "django.db.models.BigAutoField"
