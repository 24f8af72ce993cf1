"""The OpenAPI documents, drawn from the routes, the forms and what the views say of themselves (``described.py``).

Drawing takes about a second, so each document is drawn once a process, when it is first asked for.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from django.urls import URLPattern, URLResolver
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.fields import Field
from rest_framework.serializers import ListSerializer

from qanat.server.api.common.described import JSON, Json, Operation

SAFE: Final = {"GET", "HEAD", "OPTIONS"}
VERBS: Final = {"GET": "read", "POST": "create", "PUT": "replace", "PATCH": "change", "DELETE": "delete"}

DETAIL: Final[Json] = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
REFUSAL: Final[Json] = {
    "description": "Messages by field, a list of messages, or one sentence in `detail`.",
    "oneOf": [{"type": "object", "additionalProperties": True}, {"type": "array", "items": {"type": "string"}}],
}
PAGE: Final[Json] = {"type": "string"}
REFUSALS: Final[dict[int, tuple[str, dict[str, Json]]]] = {
    400: ("The request cannot be carried out; the answer says why.", {JSON: REFUSAL}),
    401: ("The credentials are not good.", {JSON: {"type": "object", "additionalProperties": True}}),
    403: ("Not logged in, or not allowed.", {JSON: DETAIL}),
    404: ("There is no such thing, or it is not for you to see.", {JSON: DETAIL, "text/html": PAGE}),
    415: ("The body's media type is not one of those listed.", {JSON: DETAIL}),
    429: ("Too many attempts to log in have failed; `Retry-After` says how many seconds to wait.", {JSON: DETAIL}),
    503: ("Something that the server needs is away; nothing was changed.", {JSON: DETAIL}),
    507: ("The storage is full; nothing was kept.", {JSON: DETAIL}),
}


class Schema(AutoSchema):
    """Describes an operation by what its view says of it."""

    view: Any

    @property
    def described(self) -> Operation:
        """What the view says of this method."""
        said: dict[str, Operation] = self.view.operations() if hasattr(self.view, "operations") else {}
        if self.method.lower() not in said:
            message = f"{type(self.view).__name__} does not say in operations() what {self.method} takes and gives."
            raise NotImplementedError(message)
        return said[self.method.lower()]

    def get_operation_id(self) -> str:
        """Name the operation after its path: ``v2_portfolios_id_location_file_read``."""
        words = [part.strip("{}").replace("-", "_") for part in self.path.removeprefix("/api/").split("/") if part]
        return "_".join([*words, "list" if self.described.many else VERBS[self.method]])

    def get_tags(self) -> list[str]:
        """Group operations by version and resource."""
        parts = self.path.removeprefix("/api/").split("/")
        return [" ".join(parts[:2])] if parts[0] in {"v1", "v2"} else ["server"]

    def get_summary(self) -> str | None:
        """Return the first line of what the method says of itself."""
        text: str = getattr(self.view, self.method.lower()).__doc__ or ""
        return text.strip().splitlines()[0] if text.strip() else None

    def get_description(self) -> str:  # type: ignore[override] # as the library calls it
        """Return nothing more: docstrings are written for who reads the code."""
        return ""

    def get_auth(self) -> list[dict[str, list[str]]]:
        """Return how to log in, or that there is no need to."""
        return [{"bearer": []}, {"basic": []}, {"session": []}] if self.view.policy.of_users else [{}]

    def get_override_parameters(self) -> list[Any]:
        """Return the parameters of the query string."""
        return [
            OpenApiParameter(p.name, p.schema, OpenApiParameter.QUERY, required=p.required, description=p.about)
            for p in self.described.query
        ]

    def get_request_serializer(self) -> Any:  # noqa: ANN401 - a form or a schema by media type
        """Return the body by its media type."""
        takes = self.described.takes
        return {self.described.takes_type: takes} if takes is not None else None

    def get_response_serializers(self) -> Any:  # noqa: ANN401 - what the library takes
        """Return the answers by code and media type."""
        said = self.described
        gives = said.gives
        if said.many:
            gives = {"type": "array", "items": gives} if isinstance(gives, dict) else gives(many=True)
        good = OpenApiResponse(gives, description="Done.")
        answers: dict[Any, Any] = {}
        for code in (said.code, *said.also):
            answers[(code, said.gives_type) if gives is not None else code] = good
        for code in sorted({*self._refusals(said), *said.refusals}):
            about, bodies = REFUSALS[code]
            if code == HTTPStatus.BAD_REQUEST and said.refusal_type != JSON:
                bodies = {said.refusal_type: PAGE}
            answers |= {(code, media): OpenApiResponse(body, description=about) for media, body in bodies.items()}
        return answers

    def _refusals(self, said: Operation) -> Iterable[int]:
        if self.view.policy.of_users:
            yield from (403, 503)
        if "{" in self.path:
            yield 404
        if said.takes is not None or said.query or self.method not in SAFE:
            yield 400
        if self.method not in SAFE:
            yield from (415, 507)

    def _is_list_view(self, serializer: Any = None) -> bool:  # noqa: ANN401 - as above
        """Say what ``described.many`` has made of the form."""
        return isinstance(serializer, ListSerializer)

    def get_serializer_name(self, serializer: Any, direction: Any) -> str:  # noqa: ANN401 - as above
        """Tell the forms of the versions apart."""
        package = type(serializer).__module__.split(".")
        version = next((part.upper() for part in package if part in {"v1", "v2"}), "")
        name: str = super().get_serializer_name(serializer, direction)
        return f"{version}{name}"


class SelfDescribed(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call] # it registers itself
    """Our own fields say what they look like on the wire."""

    target_class = "rest_framework.fields.Field"
    match_subclasses = True
    priority = 1

    @classmethod
    def _matches(cls, target: Any) -> bool:  # noqa: ANN401 - any field
        return isinstance(target, Field) and hasattr(target, "on_the_wire")

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Any) -> Json:  # noqa: ANN401 - a literal
        """Return the field's schema, inwards or outwards."""
        del auto_schema
        schema: Json = self.target.on_the_wire(inwards=direction == "request")
        return schema


def document(routes: Iterable[URLPattern | URLResolver]) -> Json:
    """Return the OpenAPI document of some routes."""
    generator = SchemaGenerator(patterns=list(routes))  # type: ignore[no-untyped-call]
    drawn: Json = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return _linked(drawn)


def _linked(drawn: Json) -> Json:
    """Say that what a creation answers leads to the operations of what was created."""
    for path, operations in drawn["paths"].items():
        for code in ("200", "201"):
            answer = operations.get("post", {}).get("responses", {}).get(code)
            if answer is None or f"{path}{{id}}/" not in drawn["paths"]:
                continue
            answer["links"] = {
                operation["operationId"]: {
                    "operationId": operation["operationId"],
                    "parameters": {"id": "$response.body#/id"},
                }
                for other, found in drawn["paths"].items()
                if other.startswith(f"{path}{{id}}/")
                for operation in found.values()
            }
    return drawn
