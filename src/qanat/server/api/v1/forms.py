"""V1's forms: no groups, no run modes, no sub-tasks."""

from typing import ClassVar

from rest_framework import serializers

from qanat.contract.statuses import RunMode
from qanat.server.api.common import forms
from qanat.server.risk_models.models import RiskModel


class PortfolioItem(forms.PortfolioForm):
    """A portfolio in a list."""


class Portfolio(PortfolioItem, forms.PortfolioDetails):
    """A portfolio alone."""

    class Meta(PortfolioItem.Meta):
        """With its details."""

        fields: ClassVar = [*PortfolioItem.Meta.fields, *forms.PORTFOLIO_DETAILS]


class Model(forms.RiskModelForm):
    """A model."""


class DataFile(forms.DataFileForm):
    """A data file."""


class Analysis(forms.AnalysisForm):
    """An analysis; its model must be one of run mode V1."""

    def validate_model(self, model: RiskModel | None) -> RiskModel | None:
        """Refuse models that V1 cannot run, unless the client asks to run whatever it is as V1."""
        if self.context.get("any_model"):
            return super().validate_model(model)
        if model is None or model.run_mode != RunMode.V1:
            message = f"The model's run mode is {model and model.run_mode}; the V1 API runs models of run mode V1 only"
            raise serializers.ValidationError(message)
        return super().validate_model(model)


class AnalysisItem(Analysis):
    """An analysis in a list: the numbers of events are text there, as clients know them."""

    num_events_total = serializers.CharField(read_only=True)  # type: ignore[assignment] # text, as said
    num_events_complete = serializers.CharField(read_only=True)  # type: ignore[assignment]
