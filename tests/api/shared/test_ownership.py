"""What somebody makes is found again by who made it."""

import pytest

from qanat.server.portfolios.models import Portfolio
from tests.api.caller import CREATED, OK, Caller
from tests.factories import make_group, make_user

BODIES = {
    "portfolios": {"name": "P"},
    "models": {"supplier_id": "S", "model_id": "M", "version_id": "1"},
    "data_files": {"file_description": "D"},
}


@pytest.mark.parametrize("resource", BODIES)
def test_a_member_finds_what_the_member_made(version: str, db: None, resource: str) -> None:
    member = Caller(make_user(make_group()), version)

    made = member.post(f"{resource}/", BODIES[resource])

    assert made.code == CREATED
    assert member.get(f"{resource}/{made.body['id']}/").code == OK


def test_what_a_member_makes_belongs_to_all_of_the_members_groups(version: str, db: None) -> None:
    groups = {make_group(), make_group()}
    member = Caller(make_user(*groups), version)

    portfolio = member.post("portfolios/", {"name": "P"}).body["id"]

    assert set(Portfolio.objects.get(pk=portfolio).groups.all()) == groups
