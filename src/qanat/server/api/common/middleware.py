"""What existing clients do, and the server tolerates; and what holds for every answer."""

import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from qanat.domain.hosts import is_loopback
from qanat.server.accounts.throttle import TooManyAttempts
from qanat.server.api.common.admission import Admitted
from qanat.server.counting import counters

Handler = Callable[[HttpRequest], HttpResponseBase]


def count_requests(handle: Handler) -> Handler:
    """Count what is answered, and how long that takes, by the route that Django found for it."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        answer = handle(request)
        if not isinstance(answer, Admitted):  # the question before a large body, which comes now
            counters.answered(
                method=request.method or "",
                route=request.resolver_match.route if request.resolver_match else "",
                status=answer.status_code,
                seconds=time.perf_counter() - began,
            )
        return answer

    return middleware


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


def keep_cookies_from_the_wire(handle: Handler) -> Handler:
    """Have browsers send cookies by TLS only; but not where the browser is on this machine, as with ``qanat up``.

    Django's settings cannot say so, for they know nothing of how a request came.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        answer = handle(request)
        names = {settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME} & answer.cookies.keys()
        if names and (request.is_secure() or not is_loopback(request.get_host())):
            for name in names:
                answer.cookies[name]["secure"] = True
        return answer

    return middleware


class SlowDown:
    """Answers whoever fails to log in too often on a page; ``errors.handle`` does it for the API."""

    def __init__(self, handle: Handler) -> None:
        """Stand before ``handle``."""
        self._handle = handle

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Let all requests through."""
        return self._handle(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer 429 to too many attempts."""
        del request
        if not isinstance(error, TooManyAttempts):
            return None
        headers = {"Retry-After": str(error.retry_after)}
        return HttpResponse(str(error), status=429, content_type="text/plain; charset=utf-8", headers=headers)
