"""The tables of docs/reference/configuration.md, from the typed settings; ``diagrams.py`` writes them."""

import re
from collections.abc import Iterator

from pydantic.fields import FieldInfo

from qanat.configuration.base import HIDDEN, Settings, names_of, written
from qanat.configuration.broker import BrokerSettings
from qanat.configuration.database import DatabaseSettings
from qanat.configuration.login import LoginSettings
from qanat.configuration.logs import LogSettings
from qanat.configuration.names import Names
from qanat.configuration.report import COMMANDS, TESTS
from qanat.configuration.server import ServerSettings
from qanat.configuration.storage import StorageSettings
from qanat.configuration.unused import ALL, UNUSED, Unused
from qanat.configuration.worker import WorkerSettings

SETTINGS = ("name of ours", "key of the platform", "default", "what it does")
KINDS: dict[str, type[Settings]] = {
    "server": ServerSettings,
    "login": LoginSettings,
    "storage": StorageSettings,
    "database": DatabaseSettings,
    "broker": BrokerSettings,
    "logs": LogSettings,
    "worker": WorkerSettings,
}


def settings_rows(kind: type[Settings]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each setting that a class adds to those it is made of."""
    inherited = {name for base in kind.__bases__ for name in getattr(base, "model_fields", {})}
    for name, names in names_of(kind).items():
        if name not in inherited and names.variables:
            field = kind.model_fields[name]
            yield (_code(names.own), _platform(names), _default(field), _prose(field.description or ""))


def unused_rows(*, yet: bool) -> Iterator[tuple[str, ...]]:
    """Yield a row for each reason why names have no effect."""
    for entry in UNUSED:
        if entry.yet is yet:
            yield (_section(entry), _code(entry.names) if entry.names != (ALL,) else "all", entry.reason)


def other_rows() -> Iterator[tuple[str, ...]]:
    """Yield a row for each variable that no process of the platform reads."""
    yield from ((f"`{name}`", meaning) for name, meaning in (COMMANDS | TESTS).items())


def _platform(names: Names) -> str:
    keys = [f"`[{names.key.section}]` `{names.key.name}`"] if names.key else []
    note = " (variables only)" if names.key and not names.key.in_ini else ""
    return ", ".join([*keys, *([_code(names.bare)] if names.bare else [])]) + note


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return ""
    value = getattr(field.default, "get_secret_value", lambda: field.default)()
    text = written(value)
    return f"`{text}`" if text and text != HIDDEN else ""


def _section(entry: Unused) -> str:
    return f"`[{entry.section}]`" if entry.section else "variables"


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _prose(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("``", "`").replace("|", "\\|")
