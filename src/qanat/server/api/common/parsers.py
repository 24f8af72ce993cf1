"""JSON as clients send it, and as it must not be."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework import parsers
from rest_framework.exceptions import ParseError


class JSONParser(parsers.JSONParser):
    """Refuses a document that nests without end."""

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:  # noqa: ANN401 - JSON
        """Return the document.

        Raises:
            ParseError: it is no JSON, or nests too deeply.
        """
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            message = "JSON parse error - it is nested too deeply"
            raise ParseError(message) from error
