"""Who may send a large body, judged before it is taken: so that nobody fills the disk without having logged in."""

import io
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponseBase
from django.urls import Resolver404, resolve
from rest_framework.response import Response
from rest_framework.views import APIView

from qanat.server.api.common.middleware import tolerate_clients

FORM_BYTES = 2**20
"""What a form may have around its file."""
WITHOUT_A_BODY = {"CONTENT_LENGTH": "0", "wsgi.input": io.BytesIO()}


def longest_body(environ: dict[str, Any]) -> int:
    """Return how long the body may be: documents are read into memory, files are streamed."""
    file = environ.get("CONTENT_TYPE", "").startswith("multipart/form-data") or "/workers/" in environ["PATH_INFO"]
    return (settings.QANAT.max_upload_bytes + FORM_BYTES) if file else settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def refusal(environ: dict[str, Any]) -> HttpResponseBase | None:
    """Return the answer to somebody whom the route's authentication or permissions turn away, else None."""
    request = WSGIRequest({**environ, **WITHOUT_A_BODY})
    answer: list[HttpResponseBase | None] = []

    def ask(request: WSGIRequest) -> HttpResponseBase:
        answer.append(_refusal(request))
        return answer[0] or Response()

    tolerate_clients(ask)(request)  # type: ignore[arg-type]
    return answer[0]


def _refusal(request: WSGIRequest) -> HttpResponseBase | None:
    try:
        match = resolve(request.path_info)
    except Resolver404:
        return None
    view_class = getattr(match.func, "view_class", None)
    if view_class is None or not issubclass(view_class, APIView):
        return None
    view = view_class(**getattr(match.func, "view_initkwargs", {}))
    view.setup(request, *match.args, **match.kwargs)
    asked = view.initialize_request(request, *match.args, **match.kwargs)
    view.request = asked
    view.headers = view.default_response_headers
    try:
        view.initial(asked, *match.args, **match.kwargs)
    except Exception as error:  # noqa: BLE001 - the view knows which of them it answers
        response: HttpResponseBase = view.finalize_response(
            asked, view.handle_exception(error), *match.args, **match.kwargs
        )
        if isinstance(response, Response):
            response.render()
        return response
    return None
