"""Django's handle on the analyses."""

from django.apps import AppConfig

from qanat.contract.statuses import OwnerKind


class AnalysesConfig(AppConfig):
    """The table of the analyses; they want to know what happens to their runs."""

    name = "qanat.server.analyses"
    label = "analyses"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register with the engine."""
        from qanat.server.analyses.projection import AnalysisProjection  # noqa: PLC0415 - needs the tables loaded
        from qanat.server.runs.projection import register  # noqa: PLC0415

        register(OwnerKind.ANALYSIS, AnalysisProjection())
