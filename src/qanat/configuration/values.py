"""How values are written that are neither text nor number: lists, and lengths of time."""

import json
import re
from datetime import timedelta
from typing import Annotated, Final, TypeAlias, TypeVar

from pydantic import BeforeValidator, Field

T = TypeVar("T")
UNITS: Final = ("weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds")
PART: Final = re.compile(rf"\s*({'|'.join(UNITS)})\s*=\s*(\d+(?:\.\d+)?)\s*")


def read_list(given: object) -> object:
    """Return the items of a list that is written as JSON or with commas.

    Raises:
        ValueError: it begins as JSON and is none.
    """
    if not isinstance(given, str):
        return given
    if not given.strip().startswith("["):
        return [item for part in given.split(",") if (item := part.strip())]
    try:
        return json.loads(given)
    except ValueError as error:
        message = f'this is no JSON list ({error}); write ["a", "b"] or a,b'
        raise ValueError(message) from None


def read_duration(given: object) -> object:
    """Return the time that ``hours=1,days=2``, or a number of seconds, says.

    Raises:
        ValueError: it says neither.
    """
    if not isinstance(given, str):
        return given
    try:
        return timedelta(seconds=float(given))
    except (ValueError, OverflowError):
        pass
    parts = [PART.fullmatch(part) for part in given.split(",")]
    if not all(parts):
        message = (
            f"'{given}' is no length of time; write hours=1,days=2 with {', '.join(UNITS)}, or a number of seconds"
        )
        raise ValueError(message)
    return timedelta(**{match[1]: float(match[2]) for match in parts if match})


def write_duration(time: timedelta) -> str:
    """Return a length of time as ``read_duration`` reads it: ``days=2,hours=1``."""
    hours, rest = divmod(time.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = {
        "days": time.days,
        "hours": hours,
        "minutes": minutes,
        "seconds": seconds,
        "microseconds": time.microseconds,
    }
    return ",".join(f"{unit}={number}" for unit, number in parts.items() if number)


def in_small_letters(given: object) -> object:
    """Return text in small letters."""
    return given.lower() if isinstance(given, str) else given


ListOf: TypeAlias = Annotated[list[T], BeforeValidator(read_list)]
Duration: TypeAlias = Annotated[timedelta, BeforeValidator(read_duration), Field(gt=timedelta(0))]
AnyCase: TypeAlias = Annotated[T, BeforeValidator(in_small_letters)]
