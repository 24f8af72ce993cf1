"""Pages of a list, for who asks: ``limit``, ``cursor``, ``q`` and ``ordering``.

Without them a list is what clients of the reference platform know: a bare array of all rows, ordered by id. With
``limit`` it is still a bare array, and the header ``Link`` leads to the next page (RFC 8288). A cursor says after which
row the page begins: pages neither repeat nor miss a row when others come and go, and each costs as much as the first.
"""

import base64
import binascii
import datetime as dt
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.core.exceptions import ValidationError as NotOfTheColumn
from django.db.models import Q, QuerySet
from django.http import QueryDict
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from qanat.server.api.common.described import NUMBER, TEXT, Parameter

MOST: Final = 1000
"""Rows of a page; who wants more asks for all, without ``limit``."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a client asked of a list."""

    limit: int | None = None
    q: str = ""
    column: str = "id"
    descending: bool = False
    after: list[Any] = field(default_factory=list)
    """Column and id of the row after which the page begins; empty: from the first row."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """Rows, and where the next ones begin."""

    rows: list[Any]
    cursor: str | None = None
    """None: there are no more."""


def parameters(ordered_by: Collection[str]) -> tuple[Parameter, ...]:
    """Return the parameters of the query string."""
    choices = [f"{sign}{column}" for column in ordered_by for sign in ("", "-")]
    return (
        Parameter(name="limit", schema={**NUMBER, "minimum": 1, "maximum": MOST}, about="The rows of a page."),
        Parameter(name="cursor", schema=TEXT, about="From the header `Link` of the page before."),
        Parameter(name="q", schema=TEXT, about="Part of a name, whatever the case."),
        Parameter(name="ordering", schema={**TEXT, "enum": choices}, about="By what, `-` for backwards."),
    )


def asked(given: Mapping[str, str], *, ordered_by: Collection[str]) -> Asked:
    """Return what the query string asks for.

    Raises:
        ValidationError: a parameter is malformed; with what it may be.
    """
    ordering = given.get("ordering") or "id"
    column = ordering.removeprefix("-")
    if column not in ordered_by:
        message = f"'{ordering}' is not one of {', '.join(ordered_by)}, each with or without '-' before it."
        raise ValidationError({"ordering": [message]})
    limit = given.get("limit")
    if limit is not None and not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:9]) <= MOST):
        raise ValidationError({"limit": [f"'{limit}' is not a whole number from 1 to {MOST}."]})
    if "\0" in given.get("q", ""):
        raise ValidationError({"q": ["Null characters are not allowed."]})
    cursor = given.get("cursor")
    if cursor and limit is None:
        raise ValidationError({"cursor": ["A cursor goes on with pages: give 'limit' too."]})
    return Asked(
        limit=int(limit) if limit else None,
        q=given.get("q", ""),
        column=column,
        descending=ordering.startswith("-"),
        after=_read(cursor, ordering) if cursor else [],
    )


def page(rows: QuerySet[Any], *, asked: Asked, searched: Collection[str]) -> Page:
    """Return the rows that were asked for, in one query.

    Raises:
        ValidationError: the cursor holds what the column cannot.
    """
    if asked.q:
        found = Q()
        for column in searched:
            found |= Q(**{f"{column}__icontains": asked.q})
        rows = rows.filter(found)
    sign = "-" if asked.descending else ""
    rows = rows.order_by(f"{sign}{asked.column}", f"{sign}pk")
    if asked.after:
        value, pk = asked.after
        how = "lt" if asked.descending else "gt"
        later = Q(**{f"{asked.column}__{how}": value}) | Q(**{asked.column: value, f"pk__{how}": pk})
        try:
            rows = rows.filter(later)
        except (NotOfTheColumn, ValueError, TypeError) as error:
            raise _bad_cursor() from error
    if asked.limit is None:
        return Page(rows=list(rows))
    found_rows = list(rows[: asked.limit + 1])
    shown = found_rows[: asked.limit]
    return Page(rows=shown, cursor=_written(shown[-1], asked) if len(found_rows) > asked.limit else None)


def headers(page: Page, *, request: Request) -> dict[str, str]:
    """Return the header that leads to the next page, where there is one."""
    if page.cursor is None:
        return {}
    query = QueryDict(request.META.get("QUERY_STRING", ""), mutable=True)
    query["cursor"] = page.cursor
    return {"Link": f'<{request.build_absolute_uri(f"{request.path}?{query.urlencode()}")}>; rel="next"'}


def _ordering(asked: Asked) -> str:
    return f"{'-' if asked.descending else ''}{asked.column}"


def _written(row: Any, asked: Asked) -> str:  # noqa: ANN401 - a row of any resource
    value = getattr(row, asked.column)
    value = value.isoformat() if isinstance(value, dt.datetime) else value
    return base64.urlsafe_b64encode(json.dumps([_ordering(asked), value, row.pk]).encode()).decode()


def _read(cursor: str, ordering: str) -> list[Any]:
    try:
        of, value, pk = json.loads(base64.urlsafe_b64decode(cursor))
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise _bad_cursor() from error
    if of != ordering or not isinstance(value, str | int) or not isinstance(pk, int) or "\0" in str(value):
        raise _bad_cursor()
    return [value, pk]


def _bad_cursor() -> ValidationError:
    message = "This is no cursor of this list in this order: take it from the header 'Link' of the page before."
    return ValidationError({"cursor": [message]})
