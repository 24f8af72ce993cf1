"""Typed settings that know where each of their values comes from."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, PrivateAttr, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from qanat.configuration.names import Bare, Hidden, Key, Names, Own
from qanat.configuration.sources import BadSettings, Found, Sources
from qanat.configuration.values import write_duration

COMMAND_LINE: Final = "the command line"
DEFAULT: Final = "default"
HIDDEN: Final = "(set, not shown)"


class Settings(BaseModel):
    """A field is a setting; its docstring is what the reference page says of it.

    An empty value is the default, whatever comes after it in the order.
    """

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    reader: ClassVar[str]
    """Who cannot start without them."""
    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def read(cls, sources: Sources, given: Mapping[str, object] | None = None) -> Self:
        """Return the settings: what is given beats the sources, which beat the defaults; None is not given.

        Raises:
            BadSettings: a value is malformed, or they do not go together.
        """
        values: dict[str, Any] = {name: value for name, value in (given or {}).items() if value is not None}
        origins = dict.fromkeys(values, COMMAND_LINE)
        for name, names in names_of(cls).items():
            found = sources.find(names)
            if found is None or name in values:
                continue
            origins[name] = found.origin
            if _says_something(found):
                values[name] = found.value
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            sentences = "; ".join(_sentence(line["loc"], line["msg"], origins) for line in error.errors())
            message = f"{cls.reader} cannot start with these settings. {sentences}"
            raise BadSettings(message) from None
        settings._origins = origins  # noqa: SLF001 - its own
        return settings

    def origin(self, name: str) -> str:
        """Say where the value of a field comes from: a variable, a place in the INI file, or the code."""
        return self._origins.get(name, DEFAULT)

    def idle(self) -> dict[str, str]:
        """Return the fields that the others leave without effect, each with the reason."""
        return {}

    def shown(self, name: str) -> str:
        """Return the value of a field for people; a secret is not told."""
        value = getattr(self, name)
        hidden = [mark for mark in type(self).model_fields[name].metadata if isinstance(mark, Hidden)]
        if isinstance(value, SecretStr):
            return HIDDEN if value.get_secret_value() else ""
        if not hidden:
            return written(value)
        if not value:
            return ""
        return without_credentials(value) if hidden[0].address else HIDDEN


def names_of(settings: type[Settings]) -> dict[str, Names]:
    """Return under which names each field can be given; a field that has none can only be given by a programme."""
    return {name: _names(name, field) for name, field in settings.model_fields.items()}


def without_credentials(address: str) -> str:
    """Return an address without what may be secret in it: user, password, and the query."""
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{'***@' if user else ''}{host}{parts.path}" if parts.scheme else HIDDEN


def written(value: object) -> str:
    """Return a value as one would write it into a variable."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, timedelta):
        return write_duration(value)
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value)


def _names(name: str, field: FieldInfo) -> Names:
    own: tuple[str, ...] = (f"QANAT_{name.upper()}",)
    key: Key | None = None
    bare: tuple[str, ...] = ()
    for mark in field.metadata:
        if isinstance(mark, Own):
            own = mark.variables
        elif isinstance(mark, Key):
            key = replace(mark, name=mark.name or name.upper())
        elif isinstance(mark, Bare):
            bare = mark.variables
    return Names(own=own, key=key, bare=bare)


def _says_something(found: Found) -> bool:
    return bool(found.value.strip())


def _sentence(place: tuple[int | str, ...], message: str, origins: Mapping[str, str]) -> str:
    text = message.removeprefix("Value error, ")
    return f"{origins.get(str(place[0]), place[0])}: {text}" if place else text
