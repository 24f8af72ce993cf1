"""Answers are JSON, whatever the client says it accepts: the stock client asks for JSON even when it downloads."""

from collections.abc import Iterable

from django.http import Http404
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class AlwaysJson(BaseContentNegotiation):
    """Choose the first renderer; another ``?format=`` than json does not exist."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """Return the parser for the body's type."""
        content_type = (request.content_type or "").split(";")[0].strip().lower()
        for parser in parsers:
            if parser.media_type in {content_type, "*/*"}:
                return parser
        return None

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return JSON."""
        del format_suffix
        if request.query_params.get("format", "json") != "json":
            raise Http404
        first = next(iter(renderers))
        return first, str(first.media_type)
