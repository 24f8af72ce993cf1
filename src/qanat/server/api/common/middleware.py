"""What existing clients do, and the server tolerates."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

Handler = Callable[[HttpRequest], HttpResponseBase]


def tolerate_clients(handle: Handler) -> Handler:
    """Take an empty ``Authorization`` header for none, and a path without its last slash for the one with it.

    The stock client sends the former before it logs in, and omits the latter for some routes; a redirect would lose
    the body of a PUT.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not request.META.get("HTTP_AUTHORIZATION", "").strip():
            request.META.pop("HTTP_AUTHORIZATION", None)
        if not request.path_info.endswith("/"):
            request.path_info += "/"
            request.path += "/"
        return handle(request)

    return middleware
