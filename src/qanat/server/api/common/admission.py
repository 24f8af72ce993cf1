"""Who may send a large body, judged before it is taken: so that nobody fills the disk without having logged in.

The API server asks by sending the request through the application once without its body, marked as a question. All
middleware sees it, and so any way to log in counts; then the view is asked instead of called.
"""

from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from rest_framework.response import Response
from rest_framework.views import APIView

FORM_BYTES: Final = 2**20
"""What a form may have around its file."""
QUESTION: Final = "qanat.question"
"""Marks the environment of a question; no header of a request can have this name."""


def longest_body(environ: dict[str, Any]) -> int:
    """Return how long the body may be: documents are read into memory, files are streamed."""
    file = environ.get("CONTENT_TYPE", "").startswith("multipart/form-data") or "/workers/" in environ["PATH_INFO"]
    return (settings.QANAT.max_upload_bytes + FORM_BYTES) if file else settings.DATA_UPLOAD_MAX_MEMORY_SIZE


class Admitted(HttpResponse):
    """The answer to a question: send the body."""

    status_code = 204


class Admission:
    """The middleware that answers questions."""

    def __init__(self, handle: Callable[[HttpRequest], HttpResponseBase]) -> None:
        """Stand before ``handle``."""
        self._handle = handle

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Let all requests through."""
        return self._handle(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: list[Any], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """Answer a question by the view's authentication and permissions; let what is none through to the view."""
        if QUESTION not in request.META:
            return None
        view_class = getattr(view, "view_class", None)
        if view_class is None or not issubclass(view_class, APIView):
            return JsonResponse({"detail": "Nothing here takes a body of this size."}, status=413)
        return _refusal(view_class(**getattr(view, "view_initkwargs", {})), request, args, kwargs) or Admitted()


def _refusal(view: APIView, request: HttpRequest, args: list[Any], kwargs: dict[str, Any]) -> HttpResponseBase | None:
    view.setup(request, *args, **kwargs)
    view.request = asked = view.initialize_request(request, *args, **kwargs)
    view.headers = view.default_response_headers
    try:
        view.initial(asked, *args, **kwargs)
    except Exception as error:  # noqa: BLE001 - the view knows which of them it answers
        response: HttpResponseBase = view.finalize_response(asked, view.handle_exception(error), *args, **kwargs)
        if isinstance(response, Response):
            response.render()
        return response
    return None
