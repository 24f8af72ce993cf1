"""V2's forms: groups, run modes, priorities, chunks and sub-tasks."""

from collections.abc import Callable
from typing import Any, ClassVar

from rest_framework import serializers

from qanat.contract.statuses import AnalysisStatus, RunMode, StepState, SubTaskStatus
from qanat.domain.step_state import SHOWN_AS
from qanat.domain.waiting import Reason
from qanat.server.accounts.access import priorities_withheld
from qanat.server.analyses.operations import store_settings
from qanat.server.api.common import forms
from qanat.server.api.common.described import ANY_OBJECT, NUMBER, TEXT, Json, array, nullable, record
from qanat.server.api.common.links import Link
from qanat.server.api.common.showing import Context, Shown, ShownField
from qanat.server.files import settings_documents
from qanat.server.risk_models.models import RiskModel
from qanat.server.risk_models.operations import store_settings as store_model_settings
from qanat.server.runs import queries
from qanat.server.runs.models import Step

UNDER_WAY = {
    AnalysisStatus.INPUTS_GENERATION_QUEUED,
    AnalysisStatus.INPUTS_GENERATION_STARTED,
    AnalysisStatus.RUN_QUEUED,
    AnalysisStatus.RUN_STARTED,
}
IN_QUEUE = (SubTaskStatus.PENDING, SubTaskStatus.QUEUED, SubTaskStatus.STARTED)


class PortfolioItem(forms.GroupedForm, forms.PortfolioForm):
    """A portfolio in a list."""

    location_file = forms.FileReference("location_file", conversion=True)
    accounts_file = forms.FileReference("accounts_file", conversion=True)
    reinsurance_info_file = forms.FileReference("reinsurance_info_file", conversion=True)
    reinsurance_scope_file = forms.FileReference("reinsurance_scope_file", conversion=True)
    currency_conversion_json = forms.FileReference("currency_conversion_json")

    class Meta(forms.PortfolioForm.Meta):
        """With its groups."""

        fields: ClassVar = [*forms.PortfolioForm.Meta.fields, "groups", "currency_conversion_json"]


class Portfolio(PortfolioItem, forms.PortfolioDetails):
    """A portfolio alone."""

    class Meta(PortfolioItem.Meta):
        """With its details."""

        fields: ClassVar = [*PortfolioItem.Meta.fields, *forms.PORTFOLIO_DETAILS[1:]]


class Document(serializers.JSONField, ShownField):
    """Settings given inline; on the way out, the link to them."""

    def __init__(self, shown: Link) -> None:
        """Show ``shown``."""
        super().__init__(required=False, write_only=False)
        self.shown = shown

    def on_the_wire(self, *, inwards: bool) -> Json:
        """Describe the document inwards, the link outwards."""
        return ANY_OBJECT if inwards else self.shown.on_the_wire(inwards=False)

    def show(self, row: Any, context: Context) -> str | None:  # noqa: ANN401 - a row
        """Return the link, or None."""
        return self.shown.show(row, context)


class Model(forms.GroupedForm, forms.RiskModelForm):
    """A model."""

    settings = Document(Link("models", "settings"))  # type: ignore[assignment] # V2 takes the document inline
    scaling_configuration = Link("models", "scaling_configuration")
    chunking_configuration = Link("models", "chunking_configuration")

    class Meta(forms.RiskModelForm.Meta):
        """With its configurations and groups."""

        fields: ClassVar = [
            *forms.RiskModelForm.Meta.fields,
            "scaling_configuration",
            "chunking_configuration",
            "groups",
        ]

    def validate_settings(self, document: Any) -> Json:  # noqa: ANN401 - JSON
        """Check the settings against their schema."""
        return settings_documents.model_settings(document)

    def create(self, validated_data: Json) -> RiskModel:
        """Create the model, with its settings where given."""
        return self._with_settings(validated_data, super().create)

    def update(self, instance: RiskModel, validated_data: Json) -> RiskModel:
        """Change the model, and its settings where given."""
        return self._with_settings(validated_data, lambda data: super(Model, self).update(instance, data))

    def _with_settings(self, data: Json, save: Any) -> RiskModel:  # noqa: ANN401 - a bound method
        document = data.pop("settings", None)
        model: RiskModel = save(data)
        if document is not None:
            store_model_settings(model=model, document=document, actor=self.context["request"].user)
            model.refresh_from_db()
        return model


class DataFile(forms.GroupedForm, forms.DataFileForm):
    """A data file."""

    class Meta(forms.DataFileForm.Meta):
        """With its groups."""

        fields: ClassVar = [*forms.DataFileForm.Meta.fields, "groups"]


STATUS_COUNTS = ("TOTAL_IN_QUEUE", "TOTAL", *(status.value for status in SubTaskStatus))


def status_count(counts: queries.SubTaskCounts) -> dict[str, int]:
    """Return how many sub-tasks have which status, as clients see it."""
    return {
        "TOTAL_IN_QUEUE": sum(counts.by_status[status] for status in IN_QUEUE),
        "TOTAL": counts.total,
        **{status.value: counts.by_status[status] for status in SubTaskStatus},
    }


class SubTaskCounted(ShownField):
    """What follows from the counts of an analysis' sub-tasks, which a list counts for all its rows at once."""

    def __init__(self, schema: Json, of: Callable[[queries.SubTaskCounts], Any]) -> None:
        """Show what ``of`` makes of the counts."""
        super().__init__(source="*", read_only=True)
        self.schema = schema
        self.of = of

    def on_the_wire(self, *, inwards: bool) -> Json:
        """Describe the field."""
        del inwards
        return {**self.schema, "readOnly": True}

    def show(self, row: Any, context: Context) -> Any:  # noqa: ANN401 - an analysis; JSON
        """Return it."""
        return self.of(context["sub_task_counts"][row.pk])


class Analysis(forms.AnalysisForm):
    """An analysis."""

    settings = Document(  # type: ignore[assignment] # V2 takes the document inline
        Link("analyses", "settings", of="settings_file")
    )
    groups = forms.GroupsField(read_only=True)
    priority = serializers.IntegerField(min_value=1, max_value=10, required=False)
    chunking_configuration = Link("analyses", "chunking_configuration")
    sub_task_list = Link("analyses", "sub_task_list")
    sub_task_count = SubTaskCounted(NUMBER, lambda counts: counts.total)
    sub_task_error_ids = SubTaskCounted(array(NUMBER), lambda counts: counts.error_ids)
    status_count = SubTaskCounted(record(**dict.fromkeys(STATUS_COUNTS, NUMBER)), status_count)

    class Meta(forms.AnalysisForm.Meta):
        """With its run mode, chunks and sub-tasks."""

        fields: ClassVar = [
            *forms.AnalysisForm.Meta.fields,
            "run_mode",
            "priority",
            "groups",
            "lookup_chunks",
            "analysis_chunks",
            "chunking_configuration",
            "sub_task_list",
            "sub_task_count",
            "sub_task_error_ids",
            "status_count",
        ]
        read_only_fields: ClassVar = [
            *forms.AnalysisForm.Meta.read_only_fields,
            "run_mode",
            "lookup_chunks",
            "analysis_chunks",
        ]

    def validate_model(self, model: RiskModel | None) -> RiskModel | None:
        """Refuse a model that says not how it is run."""
        if model is not None and model.run_mode not in set(RunMode):
            message = "The model's run mode must not be null: set it to V1 or V2"
            raise serializers.ValidationError(message)
        return super().validate_model(model)

    def validate_priority(self, priority: int) -> int:
        """Refuse the priorities that only staff may give."""
        if priority in (withheld := priorities_withheld(self.context["request"].user)):
            message = f"Levels restricted to administrators: {withheld}"
            raise serializers.ValidationError(message)
        return priority

    def validate_settings(self, document: Any) -> Json:  # noqa: ANN401 - JSON
        """Check the settings against their schema."""
        return settings_documents.analysis_settings(document)

    def create(self, validated_data: Json) -> Any:  # noqa: ANN401 - an analysis
        """Create the analysis, with its settings where given."""
        document = validated_data.pop("settings", None)
        return self._with_settings(super().create(validated_data), document)

    def update(self, instance: Any, validated_data: Json) -> Any:  # noqa: ANN401 - an analysis
        """Change the analysis, and its settings where given."""
        document = validated_data.pop("settings", None)
        return self._with_settings(super().update(instance, validated_data), document)

    def _with_settings(self, analysis: Any, document: Json | None) -> Any:  # noqa: ANN401 - an analysis
        if document is not None:
            store_settings(analysis=analysis, document=document, actor=self.context["request"].user)
        return analysis


class WaitingFor(ShownField):
    """Why the run of an analysis does not go on; null where it does, or there is none."""

    def __init__(self) -> None:
        """Read-only."""
        super().__init__(source="*", read_only=True)

    def on_the_wire(self, *, inwards: bool) -> Json:
        """Describe the field."""
        del inwards
        return {**nullable(record(reason={**TEXT, "enum": list(Reason)}, message=TEXT)), "readOnly": True}

    def show(self, row: Any, context: Context) -> Json | None:  # noqa: ANN401 - an analysis
        """Return reason and sentence, or None."""
        if row.status not in UNDER_WAY or (found := context["waiting"][row.pk]) is None:
            return None
        return {"reason": found.reason.value, "message": found.message}


class AnalysisInDetail(Analysis):
    """An analysis alone: ``waiting_for`` is ours, additional to what clients know."""

    waiting_for = WaitingFor()

    class Meta(Analysis.Meta):
        """With what it waits for."""

        fields: ClassVar = [*Analysis.Meta.fields, "waiting_for"]


LOGS = ("output_log", "error_log", "retry_log")


class LogLink(Link):
    """The link to a sub-task's log, where there is one."""

    def __init__(self, log: str) -> None:
        """Link to ``log``."""
        super().__init__("analysis-task-statuses", log, of=log)

    def show(self, row: Step, context: Context) -> str | None:
        """Return the URL, or None."""
        return f"{context['links']}{self.resource}/{row.pk}/{self.name}/" if getattr(row, self.name) else None


class ShownStatus(ShownField):
    """The status of a sub-task that clients know."""

    def __init__(self) -> None:
        """Read-only."""
        super().__init__(source="*", read_only=True)

    def on_the_wire(self, *, inwards: bool) -> Json:
        """Describe the field."""
        del inwards
        return {**TEXT, "readOnly": True}

    def show(self, row: Step, context: Context) -> str:
        """Return the status."""
        del context
        return SHOWN_AS[StepState(row.state)].value


class SubTask(Shown, serializers.ModelSerializer[Step]):
    """A sub-task, with what it used: ``resources`` is ours, additional to what clients know."""

    task_id = serializers.CharField(source="celery_id")
    status = ShownStatus()
    queue_name = serializers.CharField(source="queue")
    pending_time = serializers.DateTimeField(source="pending_at")
    queue_time = serializers.DateTimeField(source="queued_at", allow_null=True, read_only=True)
    start_time = serializers.DateTimeField(source="started_at", allow_null=True, read_only=True)
    end_time = serializers.DateTimeField(source="ended_at", allow_null=True, read_only=True)
    retry_count = serializers.IntegerField(source="retries")
    output_log = LogLink("output_log")
    error_log = LogLink("error_log")
    retry_log = LogLink("retry_log")

    class Meta:
        """The fields, in order."""

        model = Step
        fields: ClassVar = [
            "id",
            "task_id",
            "status",
            "queue_name",
            "name",
            "slug",
            "pending_time",
            "queue_time",
            "start_time",
            "end_time",
            "retry_count",
            "resources",
            *LOGS,
        ]
