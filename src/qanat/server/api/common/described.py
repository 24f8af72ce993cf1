"""What an endpoint takes and gives; a view says so in ``operations()``, and ``openapi.py`` draws it."""

from dataclasses import dataclass, field
from typing import Any, Final

Json = dict[str, Any]

TEXT: Final[Json] = {"type": "string"}
NUMBER: Final[Json] = {"type": "integer"}
TIME: Final[Json] = {"type": "string", "format": "date-time"}
LINK: Final[Json] = {"type": "string", "format": "uri"}
BYTES: Final[Json] = {"type": "string", "format": "binary"}
ANY_OBJECT: Final[Json] = {"type": "object", "additionalProperties": True}
UPLOAD: Final[Json] = {"type": "object", "properties": {"file": BYTES}, "required": ["file"]}
"""A form with the one part ``file``."""
ANY_TYPE: Final = "*/*"
MULTIPART: Final = "multipart/form-data"
JSON: Final = "application/json"


def nullable(schema: Json) -> Json:
    """Return the schema of the same or null."""
    return {**schema, "nullable": True}


def array(items: Json) -> Json:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def record(**properties: Json) -> Json:
    """Return the schema of an object that has all of ``properties``."""
    return {"type": "object", "properties": properties, "required": list(properties)}


RECEIPT: Final = record(
    created=TIME,
    file={**TEXT, "description": "The key in storage."},
    filename=TEXT,
    groups=array(TEXT),
    conversion_state={**TEXT, "enum": ["NONE"]},
)
"""What an upload is answered with."""


CONVERSION_RECEIPT: Final = record(
    **RECEIPT["properties"], converted_file=nullable(TEXT), mapping_file=nullable(NUMBER)
)
"""The same for an OED file; the two are always null."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of the query string."""

    name: str
    schema: Json = field(default_factory=lambda: TEXT)
    about: str = ""
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What one method of an endpoint takes and gives."""

    takes: Any = None
    """The body: a form, or a schema; None: no body."""
    takes_type: str = JSON
    gives: Any = None
    """The answer: a form, or a schema; None: no body."""
    many: bool = False
    """The answer is a list of ``gives``."""
    gives_type: str = JSON
    code: int = 200
    query: tuple[Parameter, ...] = ()
    also: tuple[int, ...] = ()
    """Codes of other answers of the same form."""
    refusals: tuple[int, ...] = ()
    """Codes of refusals that this operation has besides those that all have."""
    refusal_type: str = JSON
    """The media type of what answers a bad request."""


DOWNLOAD: Final = Operation(gives={"description": "The file, byte for byte."}, gives_type=ANY_TYPE)
CLEARED: Final = Operation()
"""200 and no body, as clients expect after deleting a file."""
DELETED: Final = Operation(code=204)
