"""Templates of analysis settings that belong to a model: the endpoints that both versions offer."""

from dataclasses import replace
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from qanat.server.accounts.access import visible
from qanat.server.analyses.models import Analysis
from qanat.server.api.common import filters
from qanat.server.api.common.described import LINK, Json, Operation, nullable
from qanat.server.api.common.documents import DocumentView
from qanat.server.api.common.forms import OwnedForm
from qanat.server.api.common.models import Models
from qanat.server.api.common.resources import DetailView, ListView, ResourceView
from qanat.server.api.common.showing import Context, ShownField
from qanat.server.files.operations import duplicate
from qanat.server.files.owned import replace_file
from qanat.server.risk_models.models import RiskModel, SettingTemplate
from qanat.server.risk_models.operations import delete_template, store_template


class ContentLink(ShownField):
    """The URL of a template's settings, where it has any."""

    def __init__(self) -> None:
        """Read-only."""
        super().__init__(source="*", read_only=True)

    def on_the_wire(self, *, inwards: bool) -> Json:
        """Describe the field."""
        del inwards
        return {**nullable(LINK), "readOnly": True}

    def show(self, row: SettingTemplate, context: Context) -> str | None:
        """Return the URL, or None."""
        if row.file_id is None:
            return None
        return f"{context['links']}models/{row.model_id}/setting_templates/{row.pk}/content/"


class TemplateForm(OwnedForm):
    """A template on the wire; ``analysis_id`` says whose settings a new one copies."""

    analysis_id = serializers.IntegerField(write_only=True, required=False, allow_null=True)
    file_url = ContentLink()

    class Meta:
        """The fields, in order."""

        model = SettingTemplate
        fields: ClassVar = ["id", "name", "description", "file_url", "analysis_id"]

    def create(self, validated_data: Json) -> SettingTemplate:
        """Create the template with the settings of the analysis that was named."""
        source = self._settings_of(validated_data.pop("analysis_id", None))
        view, actor = self.context["view"], self.context["request"].user
        with transaction.atomic():
            template: SettingTemplate = super().create({**validated_data, "model": view.of_model()})
            if source is not None:
                replace_file(template, "file", duplicate(file=source, creator=actor))
        return template

    def update(self, instance: SettingTemplate, validated_data: Json) -> SettingTemplate:
        """Change name and description; settings are changed where they are kept."""
        validated_data.pop("analysis_id", None)
        changed: SettingTemplate = super().update(instance, validated_data)
        return changed

    def _settings_of(self, analysis_id: int | None) -> Any:  # noqa: ANN401 - a stored file
        if analysis_id is None:
            return None
        actor = self.context["request"].user
        seen = visible(
            Analysis.objects.filter(pk=analysis_id), actor=actor, through="portfolio", version=self.context["version"]
        )
        analysis = seen.select_related("settings_file").first()
        if analysis is None or analysis.settings_file is None:
            what = "There is no such analysis" if analysis is None else "The analysis has no settings"
            raise serializers.ValidationError({"Detail": [f"{what}: analysis {analysis_id}."]})
        return analysis.settings_file


class SettingTemplates(ResourceView):
    """What all endpoints of templates have in common: who may see the model may see its templates."""

    model = SettingTemplate
    models_view: ClassVar[type[Models]]
    models_pk: int
    _model: RiskModel | None = None
    _template: SettingTemplate | None = None

    def of_model(self) -> RiskModel:
        """Return the model.

        Raises:
            Http404: there is none, or the actor may not see it.
            WriteRefused: this is a write, and the model belongs to groups of which the actor is no member.
        """
        if self._model is None:
            models = self.models_view()
            models.request, models.holds_files = self.request, self.holds_files  # type: ignore[misc] # of this request
            self._model = models.one(self.models_pk)
        return self._model

    def one(self, pk: int) -> SettingTemplate:
        """Return a template of the model, of which it was asked already who may see and change it.

        Raises:
            Http404: there is none.
        """
        if self._template is None:
            self._template = get_object_or_404(self.rows(), pk=pk)
        return self._template

    def admit_to_row(self) -> None:
        """Let in who sees the model, and the template where the route names one.

        The verbs are those of every resource, so the model's id is taken off their arguments here.
        """
        self.models_pk = self.kwargs.pop("models_pk")
        self.of_model()
        super().admit_to_row()

    def rows(self) -> QuerySet[Any]:
        """Return the model's templates: who sees the model sees all of them."""
        return SettingTemplate.objects.filter(model=self.of_model()).select_related("file", "model").order_by("pk")


class TemplateList(SettingTemplates, ListView):
    """``models/{id}/setting_templates/``."""

    row_argument = "models_pk"
    detail_form = list_form = TemplateForm
    filters = filters.filter_set(SettingTemplate, {})
    searched = ("name", "description")
    ordered_by = ("id", "name", "created", "modified")

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives: creation is answered by 200 here."""
        said = super().operations()
        return {**said, "post": replace(said["post"], code=status.HTTP_200_OK)}

    def post(self, request: Request) -> Response:
        """Create a template."""
        created = super().post(request)
        created.status_code = status.HTTP_200_OK
        return created


class TemplateDetail(SettingTemplates, DetailView):
    """``models/{id}/setting_templates/{id}/``."""

    detail_form = TemplateForm

    def remove(self, row: SettingTemplate) -> None:
        """Delete the template and its settings."""
        delete_template(template=row)


class TemplateContent(SettingTemplates, DocumentView):
    """``models/{id}/setting_templates/{id}/content/``."""

    field = "file"

    def store(self, row: SettingTemplate, document: Any) -> Any:  # noqa: ANN401 - JSON
        """Check and store the settings."""
        return store_template(template=row, document=document, actor=self.actor())


def routes(models_view: type[Models]) -> list[URLPattern]:
    """Return the routes of the templates of one version's models."""
    endpoints: dict[str, type[SettingTemplates]] = {
        "": TemplateList,
        "<int:pk>/": TemplateDetail,
        "<int:pk>/content/": TemplateContent,
    }
    return [
        path(f"models/<int:models_pk>/setting_templates/{end}", _bound(view, models_view).as_view())
        for end, view in endpoints.items()
    ]


def _bound(view: type[SettingTemplates], models_view: type[Models]) -> type[SettingTemplates]:
    return type(view.__name__, (view,), {"version": models_view.version, "models_view": models_view})
