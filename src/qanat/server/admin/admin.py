"""What the admin site shows (wire contract, section 1.2).

The engine's facts are shown and not changed here: a status follows from events, a file from uploads and runs. What is
deleted, is deleted by the same functions as over the API, so its files and runs go with it.
"""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from qanat.server.analyses.models import Analysis
from qanat.server.analyses.operations import delete_analysis, delete_model, delete_portfolio
from qanat.server.data_files.models import DataFile
from qanat.server.data_files.operations import delete_data_file
from qanat.server.files.models import StoredFile
from qanat.server.portfolios.models import Portfolio
from qanat.server.risk_models.models import RiskModel, SettingTemplate
from qanat.server.risk_models.operations import delete_template, hide, show
from qanat.server.runs.models import Run, Step

admin.site.site_header = admin.site.site_title = "Qanat"


class Facts(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows to look at: nothing is added, changed or deleted here."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        del request, obj
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        del request, obj
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        del request, obj
        return False


class Rows(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that users made: named, grouped, and deleted with what belongs to them."""

    list_per_page = 50
    show_full_result_count = False
    editable: ClassVar[tuple[str, ...]]
    """What may be changed here; all else is shown."""

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Return all columns that are not editable."""
        del request, obj
        columns = [*self.model._meta.fields, *self.model._meta.many_to_many]  # noqa: SLF001 - Django's documented name
        return [column.name for column in columns if column.name not in self.editable]

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse: rows are made over the API, which checks what they need."""
        del request, obj
        return False

    def delete_model(self, request: HttpRequest, obj: Any) -> None:  # noqa: ANN401 - a row
        """Delete a row with what belongs to it."""
        del request
        self.remove(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete rows with what belongs to them."""
        del request
        for row in queryset:
            self.remove(row)

    def remove(self, row: Any) -> None:  # noqa: ANN401 - a row
        """Delete a row with what belongs to it."""
        raise NotImplementedError


@admin.register(Portfolio)
class Portfolios(Rows):
    """Portfolios."""

    list_display = ("id", "name", "creator", "created")
    list_select_related = ("creator",)
    search_fields = ("name",)
    editable = ("name", "groups", "reporting_currency")

    def remove(self, row: Portfolio) -> None:
        """Delete it with its analyses."""
        delete_portfolio(row)


@admin.register(Analysis)
class Analyses(Rows):
    """Analyses."""

    list_display = ("id", "name", "status", "portfolio", "model", "creator", "created")
    list_select_related = ("portfolio", "model", "creator")
    list_filter = ("status", "run_mode")
    search_fields = ("name",)
    editable = ("name", "priority")

    def remove(self, row: Analysis) -> None:
        """Delete it with its runs."""
        delete_analysis(row)


@admin.register(RiskModel)
class Models(Rows):
    """Models, the hidden ones too, with their scaling and chunking options."""

    list_display = ("id", "supplier_id", "model_id", "version_id", "run_mode", "deleted", "awaits_approval")
    list_filter = ("deleted", "awaits_approval", "run_mode")
    search_fields = ("supplier_id", "model_id", "version_id")
    editable = ("run_mode", "groups")
    actions = ("activate", "disable")

    @admin.action(description="Activate selected models")
    def activate(self, request: HttpRequest, queryset: QuerySet[RiskModel]) -> None:
        """Bring back hidden models, and approve those that await it."""
        for model in queryset:
            show(model=model)
        self.message_user(request, "Activated.")

    @admin.action(description="Disable selected models")
    def disable(self, request: HttpRequest, queryset: QuerySet[RiskModel]) -> None:
        """Hide models: analyses keep pointing at them."""
        for model in queryset:
            hide(model=model)
        self.message_user(request, "Disabled.")

    def remove(self, row: RiskModel) -> None:
        """Delete it for good, with its analyses."""
        delete_model(row)


@admin.register(SettingTemplate)
class SettingTemplates(Rows):
    """Templates of settings."""

    list_display = ("id", "name", "model", "creator")
    list_select_related = ("model", "creator")
    search_fields = ("name",)
    editable = ("name", "description")

    def remove(self, row: SettingTemplate) -> None:
        """Delete it with its settings."""
        delete_template(template=row)


@admin.register(DataFile)
class DataFiles(Rows):
    """Data files."""

    list_display = ("id", "file_description", "file_category", "file", "creator")
    list_select_related = ("file", "creator")
    search_fields = ("file_description",)
    editable = ("file_description", "file_category", "groups")

    def remove(self, row: DataFile) -> None:
        """Delete it with its content."""
        delete_data_file(row)


@admin.register(StoredFile)
class StoredFiles(Facts):
    """Files, whoever they belong to."""

    list_display = ("id", "filename", "content_type", "size", "key", "creator", "created")
    list_select_related = ("creator",)
    search_fields = ("filename", "key")


@admin.register(Run)
class Runs(Facts):
    """Runs of the engine."""

    list_display = ("id", "analysis_id", "kind", "mode", "state", "created", "finished")
    list_filter = ("state", "kind", "mode")


@admin.register(Step)
class Steps(Facts):
    """Sub-tasks: the analysis-task-statuses of the API."""

    list_display = ("id", "slug", "run", "queue", "state", "retries", "started_at", "ended_at")
    list_select_related = ("run",)
    list_filter = ("state",)
    search_fields = ("slug", "queue", "celery_id")
