"""Django's handle on the portfolios."""

from django.apps import AppConfig

from qanat.contract.statuses import OwnerKind


class PortfoliosConfig(AppConfig):
    """The tables of the portfolios; they want to know what happens to their runs."""

    name = "qanat.server.portfolios"
    label = "portfolios"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register with the engine."""
        from qanat.server.portfolios.projection import PortfolioProjection  # noqa: PLC0415 - needs the tables loaded
        from qanat.server.runs.projection import register  # noqa: PLC0415

        register(OwnerKind.PORTFOLIO, PortfolioProjection())
