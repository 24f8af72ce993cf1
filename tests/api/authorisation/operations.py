"""Every operation there is, from the routes: what is routed tomorrow is tested tomorrow."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.urls import URLPattern, URLResolver

from qanat.server.api.common.policy import Policy, policy_of
from qanat.server.config import urls

BASE = "api/"
"""Everything is routed twice: under this prefix, and without."""
NO_OPERATIONS = {"head", "options", "trace"}
"""Answered by the framework wherever there is a GET, or anything at all."""
ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")


@dataclass(frozen=True, kw_only=True)
class Route:
    """A path and the view behind it."""

    path: str
    """With its arguments as they are declared: ``api/v1/portfolios/<int:pk>/``."""
    view: Callable[..., Any] = field(repr=False)

    @property
    def policy(self) -> Policy | None:
        """Who is let in; None where nobody has said."""
        return policy_of(self.view)

    @property
    def endpoint(self) -> Any:  # noqa: ANN401 - a class of view, or None for a function
        """The class behind the view."""
        return getattr(self.view, "cls", None)

    @property
    def version(self) -> str:
        """``v1``, ``v2``, or nothing."""
        found = re.match(rf"(?:{BASE})?(v\d+)/", self.path)
        return found[1] if found else ""

    @property
    def arguments(self) -> Sequence[str]:
        """The names of the arguments in the path."""
        return ARGUMENT.findall(self.path)


@dataclass(frozen=True, kw_only=True)
class Operation(Route):
    """A method of a route."""

    method: str

    def __str__(self) -> str:
        """Name the operation; versions look alike but for their prefix."""
        return f"{self.method} {self.path.removeprefix(BASE)}"

    @property
    def key(self) -> str:
        """What it is called in both versions."""
        return str(self).replace(f" {self.version}/", " ", 1) if self.version else str(self)

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET"

    def url(self, arguments: dict[str, object]) -> str:
        """Return the path with arguments filled in."""
        return "/" + ARGUMENT.sub(lambda found: str(arguments[found[1]]), self.path)


def routes(patterns: Sequence[URLPattern | URLResolver] | None = None, prefix: str = "") -> Iterator[Route]:
    """Yield all routes of the API; pages of the framework ask by themselves (``test_admin``, ``test_sessions``)."""
    for pattern in [*urls.base, *urls.root] if patterns is None else patterns:
        path = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, path)
        else:
            yield Route(path=path, view=pattern.callback)


def operations() -> Iterator[Operation]:
    """Yield every method of every route of ours under ``api/``."""
    for route in routes():
        if route.path.startswith(BASE) and route.endpoint is not None:
            for name in route.endpoint.http_method_names:
                if name not in NO_OPERATIONS and hasattr(route.endpoint, name):
                    yield Operation(path=route.path, view=route.view, method=name.upper())
