"""Groups given to portfolios, models and data files; models and run data by group."""

import pytest
from django.contrib.auth.models import Group

from qanat.server.portfolios.models import Portfolio
from tests.api.caller import BAD_REQUEST, CREATED, FORBIDDEN, NOT_FOUND, OK, Caller
from tests.documents import MODEL_SETTINGS
from tests.factories import make_complete_analysis, make_group, make_model, make_portfolio, make_user

MODEL_ROUTES = ("", "versions/", "storage_links/", "data_files/", "chunking_configuration/", "scaling_configuration/")
BODIES = {
    "portfolios": {"name": "P"},
    "models": {"supplier_id": "S", "model_id": "M", "version_id": "1"},
    "data_files": {"file_description": "D"},
}


@pytest.fixture
def group(db: None) -> Group:
    """A group."""
    return make_group("mine")


@pytest.fixture
def member(group: Group) -> Caller:
    """The API for a member of the group and of one more."""
    return Caller(make_user(group, make_group("also mine")), "v2")


@pytest.fixture
def stranger(db: None) -> Caller:
    """The API for a member of another group."""
    return Caller(make_user(make_group("other")), "v2")


@pytest.fixture
def staff(db: None) -> Caller:
    """The API for staff without a group."""
    return Caller(make_user(staff=True), "v2")


@pytest.mark.parametrize("resource", BODIES)
def test_groups_left_out_are_the_makers_own(member: Caller, resource: str) -> None:
    answer = member.post(f"{resource}/", BODIES[resource])

    assert (answer.code, sorted(answer.body["groups"])) == (CREATED, ["also mine", "mine"])


@pytest.mark.parametrize("resource", BODIES)
def test_groups_are_those_asked_for_that_are_the_makers_own(member: Caller, resource: str) -> None:
    make_group("foreign")

    answer = member.post(f"{resource}/", {**BODIES[resource], "groups": ["mine", "foreign"]})

    assert (answer.code, answer.body["groups"]) == (CREATED, ["mine"])


@pytest.mark.parametrize("resource", BODIES)
@pytest.mark.parametrize("groups", [[], ["foreign"], ["unknown"], ["mine", "unknown"], "mine", [1], None])
def test_groups_that_a_member_may_not_give_are_refused(member: Caller, resource: str, groups: object) -> None:
    make_group("foreign")

    answer = member.post(f"{resource}/", {**BODIES[resource], "groups": groups})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"groups"})
    assert member.get(f"{resource}/").body == []


def test_staff_give_any_group_and_make_those_that_are_missing(staff: Caller) -> None:
    answer = staff.post("portfolios/", {"name": "P", "groups": ["unheard of"]})

    assert (answer.code, answer.body["groups"]) == (CREATED, ["unheard of"])
    assert Group.objects.filter(name="unheard of").exists()


@pytest.mark.parametrize("name", ["", " ", "x" * 151, "a\0b"])
def test_a_name_that_no_group_can_have_is_refused_to_staff_too(staff: Caller, name: str) -> None:
    answer = staff.post("portfolios/", {"name": "P", "groups": [name]})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"groups"})


def test_a_change_without_groups_leaves_them(member: Caller, group: Group) -> None:
    row = make_portfolio(group)

    answer = member.patch(f"portfolios/{row.pk}/", {"name": "New"})

    assert answer.body["groups"] == ["mine"]


def test_a_replacement_without_groups_gives_it_the_callers(member: Caller, group: Group) -> None:
    row = make_portfolio(group)

    answer = member.put(f"portfolios/{row.pk}/", {"name": "New"})

    assert sorted(answer.body["groups"]) == ["also mine", "mine"]


def test_refused_groups_change_nothing_else(member: Caller, group: Group) -> None:
    row = make_portfolio(group)

    answer = member.patch(f"portfolios/{row.pk}/", {"name": "New", "groups": ["unknown"]})

    assert answer.code == BAD_REQUEST
    assert Portfolio.objects.get().name == row.name


def test_an_analysis_shows_the_groups_of_its_portfolio_and_takes_none(member: Caller, group: Group) -> None:
    row = make_complete_analysis(portfolio=make_portfolio(group))

    answer = member.patch(f"analyses/{row.pk}/", {"groups": []})

    assert (answer.code, answer.body["groups"]) == (OK, ["mine"])


def test_a_model_and_its_parts_are_found_by_its_group_only(member: Caller, stranger: Caller, group: Group) -> None:
    row = make_model(group, run_mode="V2")

    for route in MODEL_ROUTES:
        assert member.get(f"models/{row.pk}/{route}").code == OK
        assert stranger.get(f"models/{row.pk}/{route}").code == NOT_FOUND


def test_nothing_of_a_model_of_another_group_can_be_changed(stranger: Caller, group: Group) -> None:
    row = make_model(group, run_mode="V2")
    route = f"models/{row.pk}"

    answers = [
        stranger.patch(f"{route}/", {"version_id": "9"}),
        stranger.delete(f"{route}/"),
        stranger.post(f"{route}/settings/", MODEL_SETTINGS),
        stranger.delete(f"{route}/settings/"),
        stranger.post(f"{route}/chunking_configuration/", {"fixed_lookup_chunks": 9}),
        stranger.post(f"{route}/scaling_configuration/", {"worker_count_max": 9}),
    ]

    assert {answer.code for answer in answers} == {FORBIDDEN}


@pytest.mark.parametrize("route", ["sub_task_list/", "chunking_configuration/", "input_file_tar_list/"])
def test_what_v2_shows_besides_is_hidden_from_other_groups(stranger: Caller, group: Group, route: str) -> None:
    row = make_complete_analysis(portfolio=make_portfolio(group))

    assert stranger.get(f"analyses/{row.pk}/{route}").code == NOT_FOUND


def test_an_analysis_of_another_group_can_neither_be_run_whole_nor_rechunked(stranger: Caller, group: Group) -> None:
    row = make_complete_analysis(portfolio=make_portfolio(group), model=make_model(run_mode="V2"))

    assert stranger.post(f"analyses/{row.pk}/generate_and_run/").code == FORBIDDEN
    assert stranger.post(f"analyses/{row.pk}/chunking_configuration/", {}).code == FORBIDDEN


def test_sub_tasks_of_everybody_are_for_staff(member: Caller, staff: Caller) -> None:
    assert member.get("analysis-task-statuses/").code == FORBIDDEN
    assert member.get("analysis-task-statuses/1/output_log/").code == FORBIDDEN
    assert (staff.get("analysis-task-statuses/").code, staff.get("analysis-task-statuses/1/").code) == (OK, NOT_FOUND)


@pytest.mark.parametrize("name", ["", "g" * 151, "a\x00b"])
def test_a_name_that_no_group_can_have_is_refused(version: str, db: None, name: str) -> None:
    staff = Caller(make_user(staff=True), version)

    answer = staff.post("portfolios/", {"name": "P", "groups": [name]})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"groups"})
    assert not Group.objects.filter(name=name).exists()
