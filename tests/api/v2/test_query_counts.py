"""One model costs as many queries whatever hangs on it."""

import pytest
from django.contrib.auth.models import Group

from tests.api.caller import Caller
from tests.api.shared.test_query_counts import MOST, full_model, queries_of
from tests.factories import make_group, make_user


@pytest.fixture
def group(db: None) -> Group:
    """The group that everything belongs to."""
    return make_group()


@pytest.fixture
def api(group: Group) -> Caller:
    """The API for a member of that group and another."""
    return Caller(make_user(group, make_group()), "v2")


@pytest.mark.parametrize("route", ["", "versions/", "data_files/", "chunking_configuration/"])
def test_a_model_costs_as_much_with_twenty_data_files_as_with_one(api: Caller, group: Group, route: str) -> None:
    small, large = full_model(group, data_files=1), full_model(group, data_files=20)

    few, many = queries_of(api, f"models/{small}/{route}"), queries_of(api, f"models/{large}/{route}")

    assert many == few <= MOST
