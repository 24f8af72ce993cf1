"""The pages that show the API to people, and the OpenAPI documents behind them (wire contract, section 1.2)."""

from functools import cache
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path
from django.utils.encoding import force_bytes
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularSwaggerOauthRedirectView, SpectacularSwaggerView

from qanat.server.api.common.openapi import document
from qanat.server.api.common.policy import ANYBODY, declared

RENDERERS: Final = {"yaml": OpenApiYamlRenderer, "json": OpenApiJsonRenderer}
URLS: Final = {
    "base": ("", "qanat.server.api.base.urls"),
    "v1": ("v1/", "qanat.server.api.v1.urls"),
    "v2": ("v2/", "qanat.server.api.v2.urls"),
}


def described(*parts: str) -> list[URLResolver]:
    """Return the routes that a document with these parts of the API describes, at their canonical address."""
    return [path(f"api/{prefix}", include(urls)) for prefix, urls in (URLS[part] for part in parts)]


@cache
def rendered(parts: tuple[str, ...], form: str) -> bytes:
    """Return the document of some parts of the API, drawn once a process."""
    return force_bytes(RENDERERS[form]().render(document(described(*parts))))


def schema(request: HttpRequest, *, parts: tuple[str, ...]) -> HttpResponse:
    """Answer with the OpenAPI document; ``?format=json`` or, as without, yaml."""
    form = request.GET.get("format", "yaml")
    if form not in RENDERERS:
        raise Http404
    return HttpResponse(rendered(parts, form), content_type=RENDERERS[form].media_type)


declared(ANYBODY, schema)


def routes(*parts: str) -> list[URLPattern]:
    """Return the routes of a page about some parts of the API: the page, its document, and where a login comes back."""
    return [
        path("", declared(ANYBODY, SpectacularSwaggerView.as_view(url="schema/?format=json", title="Qanat"))),
        path("schema/", schema, {"parts": parts}),
        path("oauth2-redirect.html/", declared(ANYBODY, SpectacularSwaggerOauthRedirectView.as_view())),
    ]
