"""Forms that both versions build on: what a row looks like on the wire, and what a client may write."""

from typing import Any, ClassVar

from rest_framework import serializers

from qanat.server.accounts.access import all_visible, groups_for, visible
from qanat.server.analyses.models import Analysis
from qanat.server.api.common.described import LINK, TEXT, Json, array, nullable, record
from qanat.server.api.common.links import Link
from qanat.server.api.common.showing import Context, Shown, ShownField
from qanat.server.data_files.models import DataFile
from qanat.server.portfolios.models import Portfolio
from qanat.server.risk_models.models import RiskModel

LARGEST_NUMBER = 2**31 - 1
"""That a column of whole numbers holds, on every database."""
LONGEST_GROUP_NAME = 150
"""That the framework's table of groups holds; SQLite would take a longer one."""


class OwnedForm(Shown, serializers.ModelSerializer[Any]):
    """A form that notes who created the row."""

    def create(self, validated_data: Json) -> Any:  # noqa: ANN401 - a row of the form's table
        """Create the row in the actor's name."""
        actor = self.context["request"].user
        row = super().create({"creator": actor, **validated_data})
        if hasattr(row, "groups"):
            row.groups.set(groups_for(actor=actor, names=None))
        return row


GROUP_NAME = serializers.CharField(max_length=LONGEST_GROUP_NAME)


class GroupsField(ShownField):
    """Groups by name."""

    def on_the_wire(self, *, inwards: bool) -> Json:
        """Describe the field."""
        del inwards
        return array({**TEXT, "minLength": 1, "maxLength": LONGEST_GROUP_NAME})

    def show(self, row: Any, context: Context) -> list[str]:  # noqa: ANN401 - a row with groups
        """Return the names."""
        return [name for _, name in context["groups"][row.pk]]

    def to_internal_value(self, data: Any) -> list[str]:  # noqa: ANN401 - JSON
        """Return the names as given."""
        if not isinstance(data, list) or not all(isinstance(name, str) for name in data):
            message = "A list of group names is required."
            raise serializers.ValidationError(message)
        return [GROUP_NAME.run_validation(name) for name in data]


class GroupedForm(OwnedForm):
    """A form of a row that belongs to groups: omitted on create and PUT, they are the actor's own."""

    groups = GroupsField(required=False)

    def create(self, validated_data: Json) -> Any:  # noqa: ANN401 - a row of the form's table
        """Create the row with its groups."""
        groups = self._groups(validated_data)
        row = super().create(validated_data)
        row.groups.set(groups)
        return row

    def update(self, instance: Any, validated_data: Json) -> Any:  # noqa: ANN401 - a row of the form's table
        """Change the row; a PATCH without groups leaves them alone."""
        asked = "groups" in validated_data or not self.partial
        groups = self._groups(validated_data)
        row = super().update(instance, validated_data)
        if asked:
            row.groups.set(groups)
        return row

    def _groups(self, validated_data: Json) -> list[Any]:
        return groups_for(actor=self.context["request"].user, names=validated_data.pop("groups", None))


class FileReference(ShownField):
    """A portfolio's file: where to get it, what its owner calls it, and its key in storage."""

    def __init__(self, field: str, *, conversion: bool = False) -> None:
        """Show ``field``, with the fields of converted files where the version has them."""
        super().__init__(source="*", read_only=True)
        self.field = field
        self.conversion = conversion

    def on_the_wire(self, *, inwards: bool) -> Json:
        """Describe the field."""
        del inwards
        shown = {"uri": LINK, "name": TEXT, "stored": TEXT}
        if self.conversion:
            never = {name: nullable(TEXT) for name in ("converted_uri", "converted_stored", "conversion_log_fie")}
            shown |= {**never, "conversion_state": {**TEXT, "enum": ["NONE"]}}
        return {**nullable(record(**shown)), "readOnly": True}

    def show(self, row: Any, context: Context) -> Json | None:  # noqa: ANN401 - a portfolio
        """Return the object, or None."""
        file = getattr(row, self.field)
        if file is None:
            return None
        reference: Json = {
            "uri": f"{context['links']}portfolios/{row.pk}/{self.field}/",
            "name": file.filename,
            "stored": file.key,
        }
        if self.conversion:
            # The misspelt key is what clients know.
            reference |= {
                "converted_uri": None,
                "converted_stored": None,
                "conversion_state": "NONE",
                "conversion_log_fie": None,
            }
        return reference


class PortfolioForm(OwnedForm):
    """What both versions show of a portfolio in a list."""

    location_file = FileReference("location_file")
    accounts_file = FileReference("accounts_file")
    reinsurance_info_file = FileReference("reinsurance_info_file")
    reinsurance_scope_file = FileReference("reinsurance_scope_file")
    storage_links = Link("portfolios", "storage_links")

    class Meta:
        """The fields, in order."""

        model = Portfolio
        fields: ClassVar = [
            "id",
            "name",
            "created",
            "modified",
            "location_file",
            "accounts_file",
            "reinsurance_info_file",
            "reinsurance_scope_file",
            "storage_links",
        ]


PORTFOLIO_DETAILS = [
    "currency_conversion_json",
    "exposure_status",
    "validation_status",
    "exposure_transform_status",
    "reporting_currency",
]


class PortfolioDetails(Shown):
    """What both versions show of a portfolio besides, when it is asked for alone."""

    currency_conversion_json = FileReference("currency_conversion_json")
    exposure_status = serializers.CharField(read_only=True)
    validation_status = serializers.CharField(read_only=True)
    exposure_transform_status = serializers.CharField(read_only=True)
    reporting_currency = serializers.CharField(read_only=True)


class RiskModelForm(OwnedForm):
    """What both versions show of a model."""

    settings = Link("models", "settings")
    versions = Link("models", "versions")
    data_files = serializers.PrimaryKeyRelatedField(many=True, queryset=DataFile.objects.all(), required=False)

    class Meta:
        """The fields, in order. The identity's uniqueness is judged by the view: a hidden model comes back."""

        model = RiskModel
        fields: ClassVar = [
            "id",
            "supplier_id",
            "model_id",
            "version_id",
            "created",
            "modified",
            "data_files",
            "settings",
            "versions",
            "run_mode",
        ]
        validators: ClassVar[list[object]] = []

    def validate_data_files(self, files: list[DataFile]) -> list[DataFile]:
        """Refuse files that the actor may not see, as if they were not there."""
        seen = visible(
            DataFile.objects.filter(pk__in=[file.pk for file in files]),
            actor=self.context["request"].user,
            version=self.context["version"],
        )
        if unseen := {file.pk for file in files} - {file.pk for file in seen}:
            message = f'Invalid pk "{min(unseen)}" - object does not exist.'
            raise serializers.ValidationError(message)
        return files

    def validate(self, attrs: Json) -> Json:
        """Refuse an identity that another model has."""
        identity = {name: attrs.get(name, getattr(self.instance, name, None)) for name in IDENTITY}
        others = RiskModel.objects.filter(**identity)
        if (others.exclude(pk=self.instance.pk) if self.instance else others).exists():
            message = "The fields supplier_id, model_id, version_id must make a unique set."
            raise serializers.ValidationError({"non_field_errors": [message]})
        return attrs


IDENTITY = ("supplier_id", "model_id", "version_id")


class FactOfFile(ShownField):
    """What is known of a data file's content; null, and never absent, where it has none."""

    def __init__(self, column: str) -> None:
        """Show ``column`` of the file."""
        super().__init__(source="*", read_only=True)
        self.column = column

    def on_the_wire(self, *, inwards: bool) -> Json:
        """Describe the field."""
        del inwards
        return {**nullable(TEXT), "readOnly": True}

    def show(self, row: DataFile, context: Context) -> str | None:
        """Return it, or None."""
        del context
        return getattr(row.file, self.column) if row.file is not None else None


class DataFileForm(OwnedForm):
    """What both versions show of a data file."""

    file = Link("data_files", "content", of="file")
    filename = FactOfFile("filename")
    stored = FactOfFile("key")
    content_type = FactOfFile("content_type")

    class Meta:
        """The fields, in order."""

        model = DataFile
        fields: ClassVar = [
            "id",
            "file_description",
            "file_category",
            "created",
            "modified",
            "file",
            "filename",
            "stored",
            "content_type",
        ]
        extra_kwargs: ClassVar = {"file_category": {"required": False, "allow_null": True}}


def _file_link(field: str) -> Link:
    return Link("analyses", field, of=field)


class AnalysisForm(OwnedForm):
    """What both versions show of an analysis, and what a client may write."""

    portfolio = serializers.PrimaryKeyRelatedField(queryset=Portfolio.objects.all())
    model = serializers.PrimaryKeyRelatedField(
        queryset=RiskModel.objects.filter(deleted=False), allow_null=True, required=False
    )
    complex_model_data_files = serializers.PrimaryKeyRelatedField(
        many=True, queryset=DataFile.objects.all(), required=False
    )
    num_events_total = serializers.IntegerField(min_value=0, max_value=LARGEST_NUMBER, required=False)
    num_events_complete = serializers.IntegerField(min_value=0, max_value=LARGEST_NUMBER, required=False)
    input_file = _file_link("input_file")
    settings_file = _file_link("settings_file")
    settings = Link("analyses", "settings", of="settings_file")
    lookup_errors_file = _file_link("lookup_errors_file")
    lookup_success_file = _file_link("lookup_success_file")
    lookup_validation_file = _file_link("lookup_validation_file")
    summary_levels_file = _file_link("summary_levels_file")
    input_generation_traceback_file = _file_link("input_generation_traceback_file")
    output_file = _file_link("output_file")
    run_traceback_file = _file_link("run_traceback_file")
    run_log_file = _file_link("run_log_file")
    storage_links = Link("analyses", "storage_links")

    class Meta:
        """The fields, in order."""

        model = Analysis
        fields: ClassVar = [
            "created",
            "modified",
            "name",
            "id",
            "portfolio",
            "model",
            "status",
            "task_started",
            "task_finished",
            "complex_model_data_files",
            "input_file",
            "settings_file",
            "settings",
            "lookup_errors_file",
            "lookup_success_file",
            "lookup_validation_file",
            "summary_levels_file",
            "input_generation_traceback_file",
            "output_file",
            "run_traceback_file",
            "run_log_file",
            "storage_links",
            "num_events_total",
            "num_events_complete",
        ]
        read_only_fields: ClassVar = ["status", "task_started", "task_finished"]

    def validate_portfolio(self, portfolio: Portfolio) -> Portfolio:
        """Refuse a portfolio without exposure, or one the actor may not see."""
        self._require_visible([portfolio], "portfolio")
        if portfolio.location_file_id is None and portfolio.accounts_file_id is None:
            message = '"location_file" or "accounts_file" must not be null: upload exposure to the portfolio first'
            raise serializers.ValidationError(message)
        return portfolio

    def validate_model(self, model: RiskModel | None) -> RiskModel | None:
        """Refuse a model the actor may not use."""
        if model is not None:
            self._require_visible([model], "model")
        return model

    def validate_complex_model_data_files(self, files: list[DataFile]) -> list[DataFile]:
        """Refuse data files the actor may not use."""
        self._require_visible(files, "data file")
        return files

    def _require_visible(self, rows: list[Any], what: str) -> None:
        if not all_visible(rows, actor=self.context["request"].user, version=self.context["version"]):
            message = f"You are not allowed to use this {what}"
            raise serializers.ValidationError(message)
