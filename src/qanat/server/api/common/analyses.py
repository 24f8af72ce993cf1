"""Analyses: the endpoints that both versions offer."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import transaction
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from qanat.contract.statuses import RunKind, RunMode
from qanat.domain.analysis_status import Event
from qanat.server.accounts.access import visible
from qanat.server.analyses import requests
from qanat.server.analyses.combining import combine
from qanat.server.analyses.models import FILES, Analysis
from qanat.server.analyses.operations import attach_settings_file, copy, delete_analysis, store_settings
from qanat.server.api.common.data_files import DataFiles
from qanat.server.api.common.described import ANY_OBJECT, NUMBER, TEXT, Operation, Parameter, array, nullable, record
from qanat.server.api.common.documents import DocumentView
from qanat.server.api.common.files import FileEndpoint
from qanat.server.api.common.related import Read, beside, listed
from qanat.server.api.common.resources import DetailView, ListView, ResourceView, body_of, groups_read
from qanat.server.api.common.showing import Shown
from qanat.server.files.storage import link_of
from qanat.server.portfolios.models import Portfolio
from qanat.server.runs import clock, queries


def _result(field: str) -> FileEndpoint:
    return FileEndpoint(field=field)


def _log(field: str) -> FileEndpoint:
    return FileEndpoint(field=field, deletable=True, system_log=True)


ENDPOINTS = [
    FileEndpoint(
        field="settings_file",
        upload=lambda row, upload, actor: attach_settings_file(analysis=row, upload=upload, actor=actor),
        deletable=True,
    ),
    _result("input_file"),
    _result("lookup_errors_file"),
    _result("lookup_success_file"),
    _result("lookup_validation_file"),
    _result("summary_levels_file"),
    _log("input_generation_traceback_file"),
    FileEndpoint(field="output_file", deletable=True),
    _log("run_traceback_file"),
    _log("run_log_file"),
]


class Analyses(ResourceView):
    """What all endpoints of analyses have in common."""

    model = Analysis
    groups_through = "portfolio"
    related: ClassVar[Mapping[str, Read]] = {
        "complex_model_data_files": listed(Analysis, "complex_model_data_files"),
        "groups": groups_read(Analysis, "portfolio__groups"),
        "sub_task_counts": queries.sub_task_counts,
        "waiting": lambda pks: {pk: queries.why_waiting(pk, now=clock.now()) for pk in pks},
    }
    detail_form: ClassVar[type[Shown]]

    def shown(self, analysis: Analysis) -> Response:
        """Answer with the analysis."""
        return Response(self.detail_form.show(self.rows().get(pk=analysis.pk), self.context()))


class AnalysisList(Analyses, ListView):
    """``analyses/``; a version says by what it is filtered."""

    searched = ("name", "portfolio__name", "model__supplier_id", "model__model_id")
    ordered_by = ("id", "name", "status", "created", "modified")


class AnalysisDetail(Analyses, DetailView):
    """``analyses/{id}/``."""

    def remove(self, row: Analysis) -> None:
        """Delete the analysis with its runs and files."""
        delete_analysis(row)


class AnalysisSettings(Analyses, DocumentView):
    """``analyses/{id}/settings/``."""

    field = "settings_file"

    def store(self, row: Analysis, document: Any) -> Any:  # noqa: ANN401 - JSON
        """Check and store the settings."""
        return store_settings(analysis=row, document=document, actor=self.actor())


class AnalysisStorage(Analyses):
    """``analyses/{id}/storage_links/``."""

    joined = FILES

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"get": Operation(gives=record(**{field: nullable(TEXT) for field in FILES}))}

    def get(self, request: Request, pk: int) -> Response:
        """Return where the files lie in storage."""
        del request
        row = self.one(pk)
        return Response({field: link_of(file.key) if (file := getattr(row, field)) else None for field in FILES})


class RunProgress(Analyses):
    """``analyses/{id}/run_progress/``."""

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"get": Operation(gives=record(Status=TEXT))}

    def get(self, request: Request, pk: int) -> Response:
        """Return how many events are done."""
        del request
        row = self.one(pk)
        return Response({"Status": f"{row.num_events_complete}/{row.num_events_total} gul stages complete"})


class AnalysisDataFiles(Analyses):
    """``analyses/{id}/data_files/``."""

    data_file_form: ClassVar[type[Shown]]

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"get": Operation(gives=self.data_file_form, many=True)}

    def get(self, request: Request, pk: int) -> Response:
        """Return the data files."""
        del request
        files = self.one(pk).complex_model_data_files.select_related("file").order_by("pk")
        context = {**self.context(), **beside(DataFiles.related, files)}
        return Response([self.data_file_form.show(file, context) for file in files])


class Start(Analyses):
    """``analyses/{id}/{generate_inputs, run, generate_and_run}/``."""

    kind: RunKind = RunKind.INPUTS

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        modes = {**TEXT, "enum": [mode.value for mode in RunMode]}
        overridable = self.version != "v1" and self.kind is not RunKind.BOTH
        override = (Parameter(name="run_mode_override", schema=modes, about="Instead of the model's."),)
        return {"post": Operation(gives=self.detail_form, query=override if overridable else ())}

    def post(self, request: Request, pk: int) -> Response:
        """Queue what was asked for."""
        del request
        asked = requests.Request(
            analysis=self.one(pk),
            actor=self.actor(),
            kind=self.kind,
            now=clock.now(),
            v1=self.version == "v1",
            run_mode_override=self._override(),
        )
        return self.shown(requests.request(asked))

    def _override(self) -> RunMode | None:
        given = self.request.query_params.get("run_mode_override")
        if not given or self.version == "v1" or self.kind is RunKind.BOTH:
            return None
        try:
            return RunMode(given.upper())
        except ValueError:
            raise ValidationError({"run_mode": [f"'{given}' is not a run mode: it is V1 or V2."]}) from None


class Cancel(Analyses):
    """``analyses/{id}/{cancel, cancel_generate_inputs, cancel_analysis_run}/``."""

    event: Event | None = None

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"post": Operation(gives=self.detail_form)}

    def post(self, request: Request, pk: int) -> Response:
        """Cancel what is under way."""
        del request
        return self.shown(requests.cancel(analysis=self.one(pk), event=self.event, now=clock.now()))


class Combine(Analyses):
    """``analyses/combine/``: a new analysis of the losses of others."""

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {
            "post": Operation(
                takes=record(analysis_ids=array(NUMBER), config=ANY_OBJECT, name=TEXT), gives=self.detail_form
            )
        }

    def post(self, request: Request) -> Response:
        """Create it and queue the combining."""
        body = body_of(request)
        sources = visible(Analysis.objects.all(), actor=self.actor(), through=self.groups_through, version=self.version)
        return self.shown(
            combine(
                sources=sources,
                analysis_ids=body.get("analysis_ids"),
                config=body.get("config"),
                name=body.get("name"),
                actor=self.actor(),
                now=clock.now(),
            )
        )


class Copy(Analyses):
    """``analyses/{id}/copy/``."""

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        changes = {"name": TEXT, "portfolio": NUMBER, "model": NUMBER, "complex_model_data_files": array(NUMBER)}
        return {"post": Operation(takes={"type": "object", "properties": changes}, gives=self.detail_form)}

    def post(self, request: Request, pk: int) -> Response:
        """Copy, with the changes that the body names."""
        row = self.one(pk)
        form = self.detail_form(row, data=request.data or {}, partial=True, context=self.context())
        form.is_valid(raise_exception=True)
        return self.shown(copy(analysis=row, changes=dict(form.validated_data), actor=self.actor()))


def start(*, form: Serializer[Any], portfolio: Portfolio, view: ResourceView) -> Analysis:
    """Create the analysis of a checked form and queue its inputs: both or neither."""
    with transaction.atomic():
        analysis: Analysis = form.save(portfolio=portfolio)
        return requests.request(
            requests.Request(
                analysis=analysis,
                actor=view.actor(),
                kind=RunKind.INPUTS,
                now=clock.now(),
                v1=view.version == "v1",
                any_model=True,
            )
        )
