"""Filters of the lists (wire contract, section 1.3)."""

import datetime as dt
from typing import Any

import django_filters as filters
from django import forms
from django.db.models import Model, QuerySet
from django.http import QueryDict
from rest_framework.exceptions import ValidationError

from qanat.contract.statuses import AnalysisStatus, RunMode
from qanat.server.api.common.described import NUMBER, TEXT, Json, Parameter, array


class MidnightFilter(filters.DateFilter):
    """Compares a time with the midnight, UTC, that begins a given date."""

    def filter(self, qs: QuerySet[Any], value: dt.date | None) -> QuerySet[Any]:
        """Apply the comparison."""
        if value is None:
            return qs
        midnight = dt.datetime.combine(value, dt.time(), tzinfo=dt.UTC)
        return qs.filter(**{f"{self.field_name}__{self.lookup_expr}": midnight})


def text(field: str) -> dict[str, filters.Filter]:
    """Return the filters of a text field: equal, or holding, whatever the case."""
    return {
        field: filters.CharFilter(field_name=field, lookup_expr="iexact"),
        f"{field}__contains": filters.CharFilter(field_name=field, lookup_expr="icontains"),
    }


def _times(field: str) -> dict[str, filters.Filter]:
    compared = {
        f"{field}__{how}": MidnightFilter(field_name=field, lookup_expr=how) for how in ("gte", "lte", "gt", "lt")
    }
    return {
        field: MidnightFilter(field_name=field, lookup_expr="exact"),
        f"{field}__date": filters.DateFilter(field_name=field, lookup_expr="date"),
        **compared,
    }


class ChoicesField(forms.MultipleChoiceField):
    """Several choices, repeated or separated by commas."""

    def to_python(self, value: Any) -> list[str]:  # noqa: ANN401 - a form's raw value
        """Split commas."""
        return [part for item in super().to_python(value) for part in item.split(",")]


class ChoicesFilter(filters.MultipleChoiceFilter):
    """``x__in`` over a fixed set of choices."""

    field_class = ChoicesField


def _choice(field: str, choices: type) -> dict[str, filters.Filter]:
    pairs = [(member.value, member.value) for member in choices]  # type: ignore[attr-defined]
    return {
        field: filters.ChoiceFilter(field_name=field, choices=pairs),
        f"{field}__in": ChoicesFilter(field_name=field, choices=pairs),
    }


class IdsField(forms.MultipleChoiceField):
    """Whole numbers, repeated."""

    def validate(self, value: list[str]) -> None:
        """Refuse what is no number."""
        for item in value:
            if not item.isdecimal():
                message = f"'{item}' is not a valid value."
                raise forms.ValidationError(message)


class IdsFilter(filters.MultipleChoiceFilter):
    """``x__in`` over ids."""

    field_class = IdsField


COMMON: dict[str, filters.Filter] = {
    **_times("created"),
    **_times("modified"),
    "user": filters.CharFilter(field_name="creator__username", lookup_expr="iexact"),
}
NAMED = {**COMMON, **text("name")}
MODELS = {**COMMON, **text("supplier_id"), **text("model_id"), **text("version_id")}
DATA_FILES = {
    **COMMON,
    **text("file_description"),
    **text("file_category"),
    "filename": filters.CharFilter(field_name="file__filename", lookup_expr="iexact"),
    "filename__contains": filters.CharFilter(field_name="file__filename", lookup_expr="icontains"),
    "content_type": filters.CharFilter(field_name="file__content_type", lookup_expr="iexact"),
    "content_type__contains": filters.CharFilter(field_name="file__content_type", lookup_expr="icontains"),
}
ANALYSES_V1 = {
    **NAMED,
    **_choice("status", AnalysisStatus),
    "model": filters.NumberFilter(field_name="model_id"),
    "model__in": IdsFilter(field_name="model_id"),
}
ANALYSES_V2 = {**ANALYSES_V1, **_choice("run_mode", RunMode)}


def filter_set(model: type[Model], declared: dict[str, filters.Filter]) -> type[filters.FilterSet]:
    """Return a filter set over ``model`` with the declared filters."""
    meta = type("Meta", (), {"model": model, "fields": []})
    return type(f"{model.__name__}Filters", (filters.FilterSet,), {**declared, "Meta": meta})


def filtered(filter_set: type[filters.FilterSet], given: QueryDict, *, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the rows that the filters of a query string leave.

    Raises:
        ValidationError: a filter is malformed; with the reasons by its name.
    """
    found = filter_set(given, queryset=rows)
    if not found.is_valid():
        raise ValidationError({name: [str(error) for error in errors] for name, errors in found.errors.items()})
    return found.qs


def parameters(filter_set: type[filters.FilterSet]) -> tuple[Parameter, ...]:
    """Return the filters as parameters of the query string."""
    return tuple(
        Parameter(name=name, schema=_schema(declared)) for name, declared in sorted(filter_set.base_filters.items())
    )


def _schema(declared: filters.Filter) -> Json:
    if isinstance(declared, filters.DateFilter):
        return {**TEXT, "format": "date"}
    if isinstance(declared, IdsFilter):
        return array(NUMBER)
    if isinstance(declared, (ChoicesFilter, filters.ChoiceFilter)):
        choices = [value for value, _ in declared.extra["choices"]]
        one = {**TEXT, "enum": choices}
        return array(one) if isinstance(declared, ChoicesFilter) else one
    return NUMBER if isinstance(declared, filters.NumberFilter) else TEXT
