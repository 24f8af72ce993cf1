"""Portfolios: the endpoints that both versions offer."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.http import Http404
from rest_framework import serializers, status
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from qanat.server.analyses.operations import delete_portfolio
from qanat.server.api.common import filters
from qanat.server.api.common.analyses import Analyses, start
from qanat.server.api.common.described import BYTES, DOWNLOAD, MULTIPART, NUMBER, TEXT, Operation, nullable, record
from qanat.server.api.common.files import FileEndpoint, FileView
from qanat.server.api.common.parsers import JSONParser
from qanat.server.api.common.related import Read, beside
from qanat.server.api.common.resources import DetailView, ListView, ResourceView, body_of, groups_read
from qanat.server.api.common.showing import Shown
from qanat.server.files.storage import key_of, link_of
from qanat.server.portfolios.models import FILES, OED_FILES, Portfolio
from qanat.server.portfolios.operations import READERS, attach_currency_rates, attach_oed_file, attach_stored_files
from qanat.server.portfolios.requests import FILE_TYPES, request_exposure_run, request_transform, request_validation
from qanat.server.runs import clock

LONGEST_CURRENCY = 15
MOST_LOSS_FACTORS = 1000
IN_QUEUE = {"message": "in queue"}


def _oed_upload(field: str) -> FileEndpoint:
    return FileEndpoint(
        field=field,
        upload=lambda row, upload, actor: attach_oed_file(portfolio=row, field=field, upload=upload, actor=actor),
        deletable=True,
        converted_by=READERS[field],
        conversion_fields=True,
    )


ENDPOINTS = [
    *map(_oed_upload, OED_FILES),
    FileEndpoint(
        field="currency_conversion_json",
        upload=lambda row, upload, actor: attach_currency_rates(portfolio=row, upload=upload, actor=actor),
        deletable=True,
    ),
    # Ours: what a validation found, by file, row and column.
    FileEndpoint(field="validation_report"),
]
ERRORS = FileEndpoint(field="errors_file")
EXPOSURE_RUN = FileEndpoint(field="exposure_run_file", name="exposure_run")


class Portfolios(ResourceView):
    """What all endpoints of portfolios have in common."""

    model = Portfolio
    joined = FILES
    related: ClassVar[Mapping[str, Read]] = {"groups": groups_read(Portfolio, "groups")}


class PortfolioList(Portfolios, ListView):
    """``portfolios/``."""

    filters = filters.filter_set(Portfolio, filters.NAMED)
    searched = ("name",)
    ordered_by = ("id", "name", "created", "modified")


class PortfolioDetail(Portfolios, DetailView):
    """``portfolios/{id}/``."""

    def remove(self, row: Portfolio) -> None:
        """Delete the portfolio with its analyses."""
        delete_portfolio(row)


class PortfolioStorage(Portfolios):
    """``portfolios/{id}/storage_links/``."""

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        links = record(**{field: nullable(TEXT) for field in FILES})
        given = {"type": "object", "properties": dict.fromkeys(FILES, TEXT), "minProperties": 1}
        return {"get": Operation(gives=links), "post": Operation(takes=given, gives=links)}

    def get(self, request: Request, pk: int) -> Response:
        """Return where the files lie in storage."""
        del request
        return self._answer(self.one(pk))

    def post(self, request: Request, pk: int) -> Response:
        """Attach copies of files that are in storage already."""
        row = self.one(pk)
        links = {field: link for field, link in body_of(request).items() if field in FILES}
        given = {field: key_of(link) if isinstance(link, str) else link for field, link in links.items()}
        attach_stored_files(portfolio=row, keys=given, actor=self.actor())
        return self._answer(row)

    @staticmethod
    def _answer(row: Portfolio) -> Response:
        return Response({field: link_of(file.key) if (file := getattr(row, field)) else None for field in FILES})


class CurrencyFields(serializers.Serializer[Any]):
    """The currency to report in."""

    reporting_currency = serializers.CharField(max_length=LONGEST_CURRENCY)


class ReportingCurrency(Portfolios):
    """``portfolios/{id}/reporting_currency/``."""

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        shown = record(reporting_currency=TEXT)
        return {
            "get": Operation(gives=shown),
            "post": Operation(takes=CurrencyFields, gives=shown),
            "delete": Operation(gives=shown),
        }

    def get(self, request: Request, pk: int) -> Response:
        """Return the currency."""
        del request
        return self._answer(self._set(pk))

    def post(self, request: Request, pk: int) -> Response:
        """Set the currency."""
        row = self.one(pk)
        fields = CurrencyFields(data=request.data)
        fields.is_valid(raise_exception=True)
        row.reporting_currency = fields.validated_data["reporting_currency"]
        row.save(update_fields=["reporting_currency", "modified"])
        return self._answer(row)

    def delete(self, request: Request, pk: int) -> Response:
        """Unset the currency."""
        del request
        row = self._set(pk)
        row.reporting_currency = ""
        row.save(update_fields=["reporting_currency", "modified"])
        return self._answer(row)

    def _set(self, pk: int) -> Portfolio:
        row: Portfolio = self.one(pk)
        if not row.reporting_currency:
            raise Http404
        return row

    @staticmethod
    def _answer(row: Portfolio) -> Response:
        return Response({"reporting_currency": row.reporting_currency})


class Validate(Portfolios):
    """``portfolios/{id}/validate/``: which files are valid, and the wish to know it anew."""

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        valid = nullable({"type": "boolean"})
        known = record(**{f"{field.removesuffix('_file')}_validated": valid for field in OED_FILES})
        return {"get": Operation(gives=known), "post": Operation(gives=known)}

    def get(self, request: Request, pk: int) -> Response:
        """Return what the latest validation has found of each file."""
        del request
        return self._answer(self.one(pk))

    def post(self, request: Request, pk: int) -> Response:
        """Queue a validation; the answer is what is known until then."""
        del request
        row = self.one(pk)
        request_validation(portfolio=row, actor=self.actor(), now=clock.now())
        return self._answer(row)

    @staticmethod
    def _answer(row: Portfolio) -> Response:
        files = {field: getattr(row, field) for field in OED_FILES}
        return Response(
            {
                f"{field.removesuffix('_file')}_validated": file and file.key in row.validated
                for field, file in files.items()
            }
        )


class Share(serializers.FloatField):
    """A share of the insured values: a number from 0 on, and no text that Python takes for one."""

    def to_internal_value(self, data: Any) -> float:  # noqa: ANN401 - JSON
        """Refuse what is infinite or not a number."""
        value = super().to_internal_value(data)
        if not math.isfinite(value):
            self.fail("invalid")
        return value


class ExposureRunFields(serializers.Serializer[Any]):
    """How losses are made from loss factors and the portfolio's own terms; whatever else is sent is ignored."""

    kernel_alloc_rule_il = serializers.IntegerField(min_value=0, max_value=3, default=2)
    kernel_alloc_rule_ri = serializers.IntegerField(min_value=0, max_value=3, default=3)
    model_perils_covered = serializers.ListField(child=serializers.CharField(), allow_empty=False, default=["AA1"])
    loss_factor = serializers.ListField(
        child=Share(min_value=0), allow_empty=False, max_length=MOST_LOSS_FACTORS, default=[1.0]
    )
    supported_oed_coverage_types = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=15), default=[0]
    )
    fmpy_sort_output = serializers.BooleanField(default=True)
    fmpy_low_memory = serializers.BooleanField(default=False)
    extra_summary_cols = serializers.ListField(child=serializers.CharField(), default=list)
    check_oed = serializers.BooleanField(default=True)
    do_disaggregation = serializers.BooleanField(default=True)
    verbose = serializers.BooleanField(default=False)


class ExposureRunWish(serializers.Serializer[Any]):
    """The body of such a request; without ``params`` the defaults hold."""

    params = ExposureRunFields(required=False, default=dict)


class ExposureRun(Portfolios, FileView):
    """``portfolios/{id}/exposure_run/``: the losses as a file, and the wish for them."""

    endpoint = EXPOSURE_RUN

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"get": DOWNLOAD, "post": Operation(takes=ExposureRunWish, gives=record(message=TEXT))}

    http_method_names: Sequence[str] = ("get", "post", "head", "options")

    def post(self, request: Request, pk: int) -> Response:
        """Queue an exposure run."""
        row = self.one(pk)
        wish = ExposureRunWish(data=body_of(request))
        wish.is_valid(raise_exception=True)
        fields = ExposureRunFields(data=wish.validated_data["params"])
        fields.is_valid(raise_exception=True)
        request_exposure_run(portfolio=row, parameters=fields.validated_data, actor=self.actor(), now=clock.now())
        return Response(IN_QUEUE)


class TransformFields(serializers.Serializer[Any]):
    """What is to be made, and of what."""

    file_type = serializers.ChoiceField(choices=list(FILE_TYPES))
    mapping_file = serializers.FileField()
    transform_file = serializers.FileField()


class ExposureTransform(Portfolios):
    """``portfolios/{id}/exposure_transform/``: make an OED file from another format."""

    parser_classes = (MultiPartParser, FormParser, JSONParser)

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        kinds = {**TEXT, "enum": list(FILE_TYPES)}
        given = record(file_type=kinds, mapping_file=BYTES, transform_file=BYTES)
        return {"post": Operation(takes=given, takes_type=MULTIPART, gives=record(message=TEXT))}

    def post(self, request: Request, pk: int) -> Response:
        """Queue the transform."""
        row = self.one(pk)
        fields = TransformFields(data=request.data)
        fields.is_valid(raise_exception=True)
        request_transform(
            portfolio=row,
            file_type=fields.validated_data["file_type"],
            mapping=fields.validated_data["mapping_file"],
            source=fields.validated_data["transform_file"],
            actor=self.actor(),
            now=clock.now(),
        )
        return Response(IN_QUEUE)


class CreateAnalysis(Portfolios):
    """``portfolios/{id}/create_analysis/``: create an analysis and queue its inputs."""

    analysis_form: ClassVar[type[Shown]]

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        given = {"type": "object", "properties": {"name": TEXT, "model": NUMBER}, "required": ["name", "model"]}
        return {"post": Operation(takes=given, gives=self.analysis_form, code=status.HTTP_201_CREATED)}

    def post(self, request: Request, pk: int) -> Response:
        """Create and queue; nothing remains where either is refused."""
        portfolio = self.one(pk)
        data = {**body_of(request), "portfolio": pk}
        context = {**self.context(), **beside(Analyses.related), "any_model": True}
        form = self.analysis_form(data=data, context=context)
        form.is_valid(raise_exception=True)
        analysis = start(form=form, portfolio=portfolio, view=self)
        return Response(self.analysis_form.show(analysis, context), status=status.HTTP_201_CREATED)
