"""How lists and lengths of time are written."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from qanat.configuration.values import Duration, ListOf, read_duration, write_duration

LISTS: TypeAdapter[list[int]] = TypeAdapter(ListOf[int])
DURATIONS: TypeAdapter[timedelta] = TypeAdapter(Duration)


@pytest.mark.parametrize(
    ("text", "items"), [("[8, 9, 10]", [8, 9, 10]), ("8,9, 10", [8, 9, 10]), ("8", [8]), ("[]", []), (",", [])]
)
def test_a_list_is_written_as_json_or_with_commas(text: str, items: list[int]) -> None:
    assert LISTS.validate_python(text) == items


@pytest.mark.parametrize("text", ["[8, 9", "8;9", "eight"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        LISTS.validate_python(text)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("hours=1,days=2", {"hours": 1, "days": 2}),
        ("minutes = 90", {"minutes": 90}),
        ("hours=1.5", {"hours": 1.5}),
        ("weeks=1, seconds=1, milliseconds=1, microseconds=1", {"weeks": 1, "seconds": 1, "microseconds": 1001}),
        ("3600", {"seconds": 3600}),
    ],
)
def test_a_length_of_time_is_written_in_its_units(text: str, time: dict[str, Any]) -> None:
    assert DURATIONS.validate_python(text) == timedelta(**time)


@pytest.mark.parametrize("text", ["1 hour", "hours", "years=1", "hours=1;days=2", "hours=-1", "0", "-1", "inf", "nan"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        DURATIONS.validate_python(text)


@example(time=timedelta(days=1, microseconds=1))
@given(st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=999)))
def test_what_is_written_can_be_read(time: timedelta) -> None:
    assert read_duration(write_duration(time)) == time
