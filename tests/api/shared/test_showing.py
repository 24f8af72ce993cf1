"""A row looks the same in a list and alone, and what hangs on it is its own."""

import pytest
from django.contrib.auth.models import Group, User
from rest_framework.fields import Field

from qanat.server.analyses.models import Analysis
from qanat.server.api.common.related import listed
from qanat.server.api.common.showing import Shown, ShownField
from qanat.server.config import prepared
from tests.api.caller import Caller
from tests.api.shared.test_query_counts import MAKERS
from tests.factories import make_analysis, make_data_file

AS_TEXT_IN_V1 = {"num_events_total", "num_events_complete"}


@pytest.mark.parametrize("resource", MAKERS)
def test_a_row_of_a_list_is_the_row_alone(member: User, group: Group, version: str, resource: str) -> None:
    api = Caller(member, version)
    pks = [MAKERS[resource](group) for _ in range(3)]

    rows = api.get(f"{resource}/").body
    alone = [api.get(f"{resource}/{pk}/").body for pk in pks]

    for row, same in zip(rows, alone, strict=True):
        assert {name: same[name] for name in row if name not in AS_TEXT_IN_V1} == {
            name: value for name, value in row.items() if name not in AS_TEXT_IN_V1
        }


def test_of_a_range_only_what_was_asked_for_is_returned(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "FEW", 1)
    rows = [make_analysis() for _ in range(3)]
    files = [make_data_file() for _ in rows]
    for row, file in zip(rows, files, strict=True):
        row.complex_model_data_files.add(file)

    found = listed(Analysis, "complex_model_data_files")([rows[0].pk, rows[2].pk])

    assert found == {rows[0].pk: [files[0].pk], rows[2].pk: [files[2].pk]}


def test_a_field_that_does_not_say_how_it_is_shown_is_refused() -> None:
    class Form(Shown):
        """A form with a field of a kind that nobody has thought of."""

        groups = type("Unknown", (Field,), {})(read_only=True)

    with pytest.raises(NotImplementedError, match=f"'groups' should be a {ShownField.__name__}"):
        Form.show(None, {})
