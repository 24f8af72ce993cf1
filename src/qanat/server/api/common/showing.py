"""How rows become JSON: each form is read once into functions of a row, and then only these are called.

The framework's way builds a form's fields anew for each request and finds out, for each field of each row, how its
value is had. That was nine tenths of the time of a long list, and half of that of a single row.
"""

from collections.abc import Callable, Mapping
from functools import cache
from operator import attrgetter
from typing import Any, Final

from rest_framework import serializers

from qanat.server.api.common.described import Json
from qanat.server.runs import clock

Context = Mapping[str, Any]
Read = Callable[[Any, Context], Any]
"""Returns what is shown of a row; ``context`` is what the view says of the request."""

AS_THEY_ARE: Final = (serializers.JSONField, serializers.BooleanField)
CONVERTED: Final = (serializers.CharField, serializers.IntegerField, serializers.ChoiceField)


class ShownField(serializers.Field):  # type: ignore[type-arg]
    """A field that says itself what it shows of a row."""

    def show(self, row: Any, context: Context) -> Any:  # noqa: ANN401 - a row of any table; JSON
        """Return what is shown."""
        raise NotImplementedError


class Shown(serializers.Serializer[Any]):
    """A form that shows rows."""

    @classmethod
    def show(cls, row: Any, context: Context) -> Json:  # noqa: ANN401 - a row of the form's table
        """Return the row as JSON."""
        return {name: read(row, context) for name, read in _readers(cls)}

    def to_representation(self, instance: Any) -> Json:  # noqa: ANN401 - as above
        """Return the row that was written."""
        return self.show(instance, self.context)


@cache
def _readers(form: type[Shown]) -> list[tuple[str, Read]]:
    fields = form().fields.values()
    return [(str(field.field_name), _reader(field)) for field in fields if not field.write_only]


def _reader(field: Any) -> Read:  # noqa: ANN401 - a field of any kind
    if isinstance(field, ShownField):
        return field.show
    source: str = field.source
    if isinstance(field, serializers.PrimaryKeyRelatedField):
        return _of(f"{source}_id")
    if isinstance(field, serializers.ManyRelatedField):
        return lambda row, context: context[source][row.pk]
    if isinstance(field, serializers.DateTimeField):
        return _of(source, clock.shown)
    if isinstance(field, AS_THEY_ARE):
        return _of(source)
    if isinstance(field, CONVERTED):
        return _of(source, field.to_representation)
    message = f"{type(field).__name__} '{field.field_name}' should be a ShownField, or have a reader in {__name__}"
    raise NotImplementedError(message)


def _of(column: str, convert: Callable[[Any], Any] | None = None) -> Read:
    """Return the reader of a column; what is not there is null."""
    value_of = attrgetter(column)
    if convert is None:
        return lambda row, _: value_of(row)
    return lambda row, _: None if (value := value_of(row)) is None else convert(value)
