"""The forms of chunking and scaling configurations (wire contract, section 1.6)."""

from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from qanat.contract.statuses import RunMode
from qanat.domain import chunking, scaling
from qanat.server.api.common.forms import LARGEST_NUMBER

CHUNKING_DEFAULTS = asdict(chunking.ChunkingOptions())
SCALING_DEFAULTS = asdict(scaling.ScalingOptions())


class WholeNumber(serializers.IntegerField):
    """A JSON integer; text that looks like one is refused."""

    def to_internal_value(self, data: Any) -> int:  # noqa: ANN401 - JSON
        """Return the number."""
        if isinstance(data, bool) or not isinstance(data, int):
            message = "A valid integer is required."
            raise serializers.ValidationError(message)
        return super().to_internal_value(data)


def _count(*, most: int = LARGEST_NUMBER) -> WholeNumber:
    return WholeNumber(min_value=1, max_value=most, required=False)


class ChunkingForm(serializers.Serializer[Any]):
    """Into how many chunks runs are cut."""

    lookup_strategy = serializers.ChoiceField(choices=[s.value for s in chunking.Strategy], required=False)
    loss_strategy = serializers.ChoiceField(choices=[s.value for s in chunking.Strategy], required=False)
    dynamic_locations_per_lookup = _count()
    dynamic_events_per_analysis = _count()
    dynamic_chunks_max = _count(most=chunking.MOST_CHUNKS)
    fixed_analysis_chunks = _count(most=chunking.MOST_CHUNKS)
    fixed_lookup_chunks = _count(most=chunking.MOST_CHUNKS)


class ScalingForm(serializers.Serializer[Any]):
    """How many workers a model should have."""

    scaling_strategy = serializers.ChoiceField(choices=[s.value for s in scaling.Strategy], required=False)
    worker_count_fixed = serializers.IntegerField(min_value=0, max_value=LARGEST_NUMBER, required=False)
    worker_count_max = serializers.IntegerField(min_value=0, max_value=LARGEST_NUMBER, required=False)
    worker_count_min = serializers.IntegerField(min_value=0, max_value=LARGEST_NUMBER, required=False)
    chunks_per_worker = serializers.IntegerField(min_value=0, max_value=LARGEST_NUMBER, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse more workers at least than at most, and a strategy that counts chunks for a model without any."""
        options = {**self.context["before"], **attrs}
        if options["worker_count_min"] > options["worker_count_max"]:
            field = "worker_count_min" if "worker_count_min" in attrs else "worker_count_max"
            least, most = options["worker_count_min"], options["worker_count_max"]
            message = f"worker_count_min ({least}) is above worker_count_max ({most})"
            raise serializers.ValidationError({field: [message]})
        is_v1 = self.context["row"].run_mode == RunMode.V1
        if options["scaling_strategy"] == scaling.Strategy.DYNAMIC_TASKS and is_v1:
            message = "DYNAMIC_TASKS counts chunks, and a model of run mode V1 has none"
            raise serializers.ValidationError({"scaling_strategy": [message]})
        return attrs
