"""Models: the endpoints that both versions offer."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from qanat.server.accounts.access import all_visible, may_write
from qanat.server.api.common import filters
from qanat.server.api.common.data_files import DataFiles
from qanat.server.api.common.described import TEXT, Operation, nullable, record
from qanat.server.api.common.documents import DocumentView
from qanat.server.api.common.forms import IDENTITY
from qanat.server.api.common.related import Read, beside, listed
from qanat.server.api.common.resources import DetailView, ListView, ResourceView, body_of, groups_read
from qanat.server.api.common.showing import Shown
from qanat.server.files.storage import link_of
from qanat.server.risk_models.models import RiskModel
from qanat.server.risk_models.operations import hide, revive, store_settings


class Models(ResourceView):
    """What all endpoints of models have in common; hidden models do not exist here."""

    model = RiskModel
    related: ClassVar[Mapping[str, Read]] = {
        "data_files": listed(RiskModel, "data_files"),
        "groups": groups_read(RiskModel, "groups"),
    }

    def all_rows(self) -> QuerySet[Any]:
        """Leave out the hidden ones."""
        return super().all_rows().filter(deleted=False)


class ModelList(Models, ListView):
    """``models/``."""

    filters = filters.filter_set(RiskModel, filters.MODELS)
    searched = ("supplier_id", "model_id", "version_id")
    ordered_by = ("id", *searched, "created", "modified")

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives: a hidden model that comes back is answered by 200."""
        said = super().operations()
        return {**said, "post": replace(said["post"], also=(200,))}

    def post(self, request: Request) -> Response:
        """Create a model, or bring back a hidden one of the same identity."""
        given = body_of(request)
        identity = {name: given.get(name) for name in IDENTITY}
        hidden = (
            RiskModel.objects.filter(deleted=True, awaits_approval=False, **identity).first()
            if all(identity.values())
            else None
        )
        if hidden is None or not self._may_revive(hidden):
            return super().post(request)
        form = self.detail_form(hidden, data=request.data, partial=True, context=self.context())
        form.is_valid(raise_exception=True)
        revive(model=hidden, creator=self.actor())
        if "data_files" in form.validated_data:
            hidden.data_files.set(form.validated_data["data_files"])
        return Response(self.detail_form.show(hidden, self.context()))

    def _may_revive(self, hidden: RiskModel) -> bool:
        may_write(actor=self.actor(), groups=list(hidden.groups.all()), version=self.version)
        return all_visible([hidden], actor=self.actor(), version=self.version)


class ModelDetail(Models, DetailView):
    """``models/{id}/``."""

    def remove(self, row: RiskModel) -> None:
        """Hide the model."""
        hide(model=row)


class ModelSettings(Models, DocumentView):
    """``models/{id}/settings/``."""

    field = "settings_file"

    def store(self, row: RiskModel, document: Any) -> Any:  # noqa: ANN401 - JSON
        """Check and store the settings."""
        return store_settings(model=row, document=document, actor=self.actor())


class ModelVersions(Models):
    """``models/{id}/versions/``."""

    names: ClassVar[tuple[str, ...]]

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"get": Operation(gives=record(**{name: nullable(TEXT) for name in self.names}))}

    def get(self, request: Request, pk: int) -> Response:
        """Return what the worker reported."""
        del request
        versions = self.one(pk).versions()
        return Response({name: versions[name] for name in self.names})


class ModelStorage(Models):
    """``models/{id}/storage_links/``."""

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"get": Operation(gives=record(settings_file=nullable(TEXT)))}

    def get(self, request: Request, pk: int) -> Response:
        """Return where the settings lie in storage."""
        del request
        row = self.one(pk)
        return Response({"settings_file": row.settings_file and link_of(row.settings_file.key)})


class ModelDataFiles(Models):
    """``models/{id}/data_files/``."""

    data_file_form: ClassVar[type[Shown]]

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"get": Operation(gives=self.data_file_form, many=True)}

    def get(self, request: Request, pk: int) -> Response:
        """Return the data files."""
        del request
        files = self.one(pk).data_files.select_related("file").order_by("pk")
        context = {**self.context(), **beside(DataFiles.related, files)}
        return Response([self.data_file_form.show(file, context) for file in files])
