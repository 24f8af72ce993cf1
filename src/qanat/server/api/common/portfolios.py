"""Portfolios: the endpoints that both versions offer."""

from typing import Any, ClassVar

from django.http import Http404
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from qanat.server.analyses.operations import delete_portfolio
from qanat.server.api.common import filters
from qanat.server.api.common.analyses import start
from qanat.server.api.common.described import NUMBER, TEXT, Operation, nullable, record
from qanat.server.api.common.files import FileEndpoint
from qanat.server.api.common.resources import DetailView, ListView, ResourceView, body_of
from qanat.server.portfolios.models import FILES, OED_FILES, Portfolio
from qanat.server.portfolios.operations import attach_currency_rates, attach_oed_file, attach_stored_files

LONGEST_CURRENCY = 15


def _oed_upload(field: str) -> FileEndpoint:
    return FileEndpoint(
        field=field,
        upload=lambda row, upload, actor: attach_oed_file(portfolio=row, field=field, upload=upload, actor=actor),
        deletable=True,
        convertible=True,
        conversion_fields=True,
    )


ENDPOINTS = [
    *map(_oed_upload, OED_FILES),
    FileEndpoint(
        field="currency_conversion_json",
        upload=lambda row, upload, actor: attach_currency_rates(portfolio=row, upload=upload, actor=actor),
        deletable=True,
    ),
]


class Portfolios(ResourceView):
    """What all endpoints of portfolios have in common."""

    model = Portfolio
    related = FILES
    prefetched = ("groups",)


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
        given = {field: key for field, key in body_of(request).items() if field in FILES}
        attach_stored_files(portfolio=row, keys=given, actor=self.actor())
        return self._answer(row)

    @staticmethod
    def _answer(row: Portfolio) -> Response:
        return Response({field: file.key if (file := getattr(row, field)) else None for field in FILES})


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


class CreateAnalysis(Portfolios):
    """``portfolios/{id}/create_analysis/``: create an analysis and queue its inputs."""

    analysis_form: ClassVar[type[Serializer[Any]]]

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        given = {"type": "object", "properties": {"name": TEXT, "model": NUMBER}, "required": ["name", "model"]}
        return {"post": Operation(takes=given, gives=self.analysis_form, code=status.HTTP_201_CREATED)}

    def post(self, request: Request, pk: int) -> Response:
        """Create and queue; nothing remains where either is refused."""
        portfolio = self.one(pk)
        data = {**body_of(request), "portfolio": pk}
        context = {**self.context(), "any_model": True, "sub_task_counts": {}}
        form = self.analysis_form(data=data, context=context)
        form.is_valid(raise_exception=True)
        analysis = start(form=form, portfolio=portfolio, view=self)
        return Response(self.analysis_form(analysis, context=context).data, status=status.HTTP_201_CREATED)
