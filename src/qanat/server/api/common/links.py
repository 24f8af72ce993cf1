"""Absolute links, with the prefix under which the request came, and in its own version."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from qanat.server.api.common.described import LINK, Json, nullable

PREFIX = "/api"


def link(request: Request | None, version: str, *parts: object) -> str:
    """Return the absolute URL of ``{base}/{version}/{parts}/``; a relative one where it is no answer to a request."""
    if request is None:
        return "/".join([PREFIX, version, *map(str, parts), ""])
    base = PREFIX if request.path.startswith(f"{PREFIX}/") else ""
    return request.build_absolute_uri("/".join([base, version, *map(str, parts), ""]))


class Link(serializers.Field):  # type: ignore[type-arg]
    """The URL of ``{resource}/{id}/{name}/``; with ``of``, only where that field is set."""

    def __init__(self, resource: str, name: str, *, of: str | None = None) -> None:
        """Link to ``name`` of a ``resource``, where field ``of`` is set."""
        super().__init__(source="*", read_only=True)
        self.resource = resource
        self.name = name
        self.of = of

    def on_the_wire(self, *, inwards: bool) -> Json:
        """Describe the field."""
        del inwards
        return {**(LINK if self.of is None else nullable(LINK)), "readOnly": True}

    def to_representation(self, value: Any) -> str | None:  # noqa: ANN401 - any of our tables
        """Return the URL, or None."""
        if self.of is not None and getattr(value, f"{self.of}_id") is None:
            return None
        return link(self.context["request"], self.context["version"], self.resource, value.pk, self.name)
