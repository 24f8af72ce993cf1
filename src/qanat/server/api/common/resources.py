"""The verbs that every resource has: list, create, read, replace, change, delete; and what its sub-routes share."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, QuerySet
from django.http import Http404, QueryDict
from django.shortcuts import get_object_or_404
from django.utils.functional import cached_property
from django_filters import FilterSet
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from qanat.server.accounts.access import is_visible, may_write_row, rules_of_groups_hold, visible
from qanat.server.api.common import filters, lists
from qanat.server.api.common.described import DELETED, Operation
from qanat.server.api.common.links import links
from qanat.server.api.common.policy import BY_GROUPS, Endpoint
from qanat.server.api.common.related import Read, Related, beside, listed
from qanat.server.api.common.showing import Shown

SAFE = {"GET", "HEAD", "OPTIONS"}


@cache
def groups_read(table: type[Model], path: str) -> Read:
    """Return how to read id and name of the groups of rows, which lie at the end of ``path``."""
    return listed(table, path, f"{path}__name")


def body_of(request: Request) -> dict[str, Any]:
    """Return the fields of a request's body, of JSON or of a form.

    Raises:
        ValidationError: it is JSON, but no object.
    """
    given = request.data
    if isinstance(given, QueryDict):
        return given.dict()
    if not isinstance(given, dict):
        message = f"Invalid data. Expected a dictionary, but got {type(given).__name__}."
        raise ValidationError({"non_field_errors": [message]})
    return given


class ResourceView(Endpoint):
    """An endpoint of a resource; a version of the API subclasses it with its own forms.

    The row that a route names is fetched by the policy, in the actor's name, before any method runs.
    """

    policy = BY_GROUPS
    version: ClassVar[str]
    model: ClassVar[type[Model]]
    groups_through: ClassVar[str] = ""
    """Relation to the table that has the groups, where that is another."""
    row_argument: ClassVar[str] = "pk"
    """What the route calls the id of the row of ``model``."""
    holds_files: ClassVar[bool] = False
    """Whether it gives or takes the content of files, which V1 keeps to their groups even where a site opened it."""
    joined: ClassVar[Collection[str]] = ()
    """Relations to one row that are read with each row."""
    related: ClassVar[Mapping[str, Read]] = {}
    """What else forms show of a row, by name, read for all rows of an answer at once."""

    def actor(self) -> User:
        """Return the user who asks."""
        user: User = self.request.user  # type: ignore[assignment]
        return user

    def all_rows(self) -> QuerySet[Any]:
        """Return all that exists, whoever may see it."""
        rows = self.model._default_manager.order_by("pk")  # noqa: SLF001 - Django's documented name
        return rows.select_related(*self.joined) if self.joined else rows

    def rows(self) -> QuerySet[Any]:
        """Return what the actor may see."""
        return visible(self.all_rows(), actor=self.actor(), through=self.groups_through, version=self.version)

    @cached_property
    def groups(self) -> Related:
        """The groups of rows, or of what they inherit them from, by the rows' ids: of each its id and name."""
        path = f"{self.groups_through}__groups" if self.groups_through else "groups"
        return Related(groups_read(self.model, path))

    def one(self, pk: int) -> Any:  # noqa: ANN401 - a row of self.model
        """Return a row, read once in a request; for a write, refuse one of foreign groups before one that is not there.

        Raises:
            Http404: there is none, or the actor may not see it.
            WriteRefused: it belongs to groups of which the actor is no member.
        """
        found = self.__dict__.setdefault("_found", {})
        if pk not in found:
            opened = self.holds_files and not rules_of_groups_hold(self.version)
            if opened or self.request.method not in SAFE:
                may_write_row(
                    actor=self.actor(),
                    table=self.model,
                    pk=pk,
                    through=self.groups_through,
                    version="" if opened else self.version,
                )
            row = get_object_or_404(self.all_rows(), pk=pk)
            if not self.sees(row):
                raise Http404
            found[pk] = row
        return found[pk]

    def sees(self, row: Any) -> bool:  # noqa: ANN401 - a row of self.model
        """Return whether a row exists for the actor: it is one of ``rows``."""
        return is_visible(
            groups=lambda: (pk for pk, _ in self.groups[row.pk]),
            actor=self.actor(),
            through=self.groups_through,
            version=self.version,
        )

    def admit_to_row(self) -> None:
        """Fetch the row that the route names; a route without arguments names none.

        Raises:
            Http404: there is none, or the actor may not see it.
            WriteRefused: it belongs to groups of which the actor is no member.
            ImproperlyConfigured: the route's arguments do not say which row.
        """
        if not self.kwargs:
            return
        if self.row_argument not in self.kwargs:
            message = f"{type(self).__qualname__} is routed without '{self.row_argument}', the id of its row"
            raise ImproperlyConfigured(message)
        self.one(self.kwargs[self.row_argument])

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        raise NotImplementedError

    def context(self, rows: Collection[Any] = ()) -> dict[str, Any]:
        """Return what forms need to know besides the row, or besides each of ``rows``."""
        return {
            "request": self.request,
            "version": self.version,
            "view": self,
            "links": links(self.request, self.version),
            **beside(self.related, rows),
        }


class ListView(ResourceView):
    """``{resource}/``: list and create."""

    list_form: ClassVar[type[Shown]]
    detail_form: ClassVar[type[Shown]]
    filters: ClassVar[type[FilterSet]]
    searched: ClassVar[tuple[str, ...]]
    """The columns in which ``q`` looks."""
    ordered_by: ClassVar[tuple[str, ...]]
    """The columns by which ``ordering`` may go; none of them is ever null."""

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        query = (*filters.parameters(self.filters), *lists.parameters(self.ordered_by))
        return {
            "get": Operation(gives=self.list_form, many=True, query=query),
            "post": Operation(takes=self.detail_form, gives=self.detail_form, code=status.HTTP_201_CREATED),
        }

    def get(self, request: Request) -> Response:
        """Return all rows that the filters leave, ordered by id; a page of them where ``limit`` is given."""
        found = filters.filtered(self.filters, request.query_params, rows=self.rows())
        asked = lists.asked(request.query_params, ordered_by=self.ordered_by)
        page = lists.page(found, asked=asked, searched=self.searched)
        context = self.context(page.rows)
        shown = [self.list_form.show(row, context) for row in page.rows]
        return Response(shown, headers=lists.headers(page, request=request))

    def post(self, request: Request) -> Response:
        """Create a row."""
        form = self.detail_form(data=request.data, context=self.context())
        form.is_valid(raise_exception=True)
        form.save()
        return Response(form.data, status=status.HTTP_201_CREATED)


class DetailView(ResourceView):
    """``{resource}/{id}/``: read, replace, change, delete."""

    detail_form: ClassVar[type[Shown]]

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        changed = Operation(takes=self.detail_form, gives=self.detail_form)
        return {"get": Operation(gives=self.detail_form), "put": changed, "patch": changed, "delete": DELETED}

    def get(self, request: Request, pk: int) -> Response:
        """Return the row."""
        del request
        return Response(self.detail_form.show(self.one(pk), {**self.context(), "groups": self.groups}))

    def put(self, request: Request, pk: int) -> Response:
        """Replace the row's writable fields."""
        return self._change(request, pk, partial=False)

    def patch(self, request: Request, pk: int) -> Response:
        """Change some of the row's writable fields."""
        return self._change(request, pk, partial=True)

    def delete(self, request: Request, pk: int) -> Response:
        """Delete the row."""
        del request
        self.remove(self.one(pk))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def remove(self, row: Any) -> None:  # noqa: ANN401 - a row of self.model
        """Delete a row with what belongs to it."""
        row.delete()

    def _change(self, request: Request, pk: int, *, partial: bool) -> Response:
        form = self.detail_form(self.one(pk), data=request.data, partial=partial, context=self.context())
        form.is_valid(raise_exception=True)
        form.save()
        return Response(form.data)
