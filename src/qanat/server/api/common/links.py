"""Absolute links, with the prefix under which the request came, and in its own version."""

from typing import Any

from rest_framework.request import Request

from qanat.server.api.common.described import LINK, Json, nullable
from qanat.server.api.common.showing import Context, ShownField

PREFIX = "/api"


def links(request: Request | None, version: str) -> str:
    """Return with what all links of an answer begin: ``{base}/{version}/``; a relative one where nobody has asked."""
    if request is None:
        return f"{PREFIX}/{version}/"
    base = PREFIX if request.path.startswith(f"{PREFIX}/") else ""
    return request.build_absolute_uri(f"{base}/{version}/")


class Link(ShownField):
    """The URL of ``{resource}/{id}/{name}/``; with ``of``, only where that field is set."""

    def __init__(self, resource: str, name: str, *, of: str | None = None) -> None:
        """Link to ``name`` of a ``resource``, where field ``of`` is set."""
        super().__init__(source="*", read_only=True)
        self.resource = resource
        self.name = name
        self.of = of
        self._column = f"{of}_id"

    def on_the_wire(self, *, inwards: bool) -> Json:
        """Describe the field."""
        del inwards
        return {**(LINK if self.of is None else nullable(LINK)), "readOnly": True}

    def show(self, row: Any, context: Context) -> str | None:  # noqa: ANN401 - any of our tables
        """Return the URL, or None."""
        if self.of is not None and getattr(row, self._column) is None:
            return None
        return f"{context['links']}{self.resource}/{row.pk}/{self.name}/"
