"""Who sees and changes what, by groups (wire contract, section 3); V1 follows the same rules."""

import pytest
from django.contrib.auth.models import Group, User
from pytest_django import Settings

from qanat.server.analyses.models import Analysis
from qanat.server.portfolios.models import Portfolio
from qanat.server.risk_models.models import RiskModel
from tests.api.caller import BAD_REQUEST, CREATED, FORBIDDEN, NOT_FOUND, OK, Caller, ids
from tests.factories import (
    make_analysis,
    make_complete_analysis,
    make_data_file,
    make_file,
    make_group,
    make_model,
    make_portfolio,
    make_user,
)

PEOPLE = ("same group", "another group", "no group", "staff", "staff of the group", "superuser")
SEES_GROUPED = {"same group", "staff of the group", "superuser"}
SEES_GROUPLESS = {"no group", "staff", "superuser"}
MAY_PASS = {"staff"}
"""Staff pass the check of groups, and then do not find what they cannot see."""
ANALYSIS_ROUTES = ("", "settings/", "settings_file/", "input_file/", "storage_links/", "run_progress/", "data_files/")


@pytest.fixture(params=PEOPLE)
def who(request: pytest.FixtureRequest) -> str:
    """Each kind of people."""
    return str(request.param)


@pytest.fixture
def person(who: str, group: Group) -> User:
    """Somebody of that kind."""
    groups = {"same group": [make_group(), group], "another group": [make_group()], "staff of the group": [group]}
    return make_user(*groups.get(who, []), staff=who.startswith("staff"), superuser=who == "superuser")


@pytest.fixture
def theirs(person: User, version: str) -> Caller:
    """The API for that person."""
    return Caller(person, version)


@pytest.fixture
def stranger(db: None, version: str) -> Caller:
    """The API for a member of another group."""
    return Caller(make_user(make_group()), version)


def test_portfolios_of_a_group_are_seen_by_its_members(theirs: Caller, who: str, group: Group) -> None:
    grouped, groupless = make_portfolio(group), make_portfolio()

    seen = ids(theirs.get("portfolios/"))

    assert (grouped.pk in seen) == (who in SEES_GROUPED)
    assert (groupless.pk in seen) == (who in SEES_GROUPLESS)


def test_a_portfolio_and_its_parts_are_found_by_those_who_see_it(theirs: Caller, who: str, group: Group) -> None:
    row = make_portfolio(group, reporting_currency="USD")
    expected = OK if who in SEES_GROUPED else NOT_FOUND

    for route in ("", "location_file/", "storage_links/", "reporting_currency/"):
        assert theirs.get(f"portfolios/{row.pk}/{route}").code == expected


def test_models_of_a_group_are_listed_for_its_members(theirs: Caller, who: str, group: Group) -> None:
    grouped, groupless = make_model(group), make_model()

    seen = ids(theirs.get("models/"))

    assert (grouped.pk in seen) == (who in SEES_GROUPED)
    assert (groupless.pk in seen) == (who in SEES_GROUPLESS)


def test_data_files_of_a_group_are_seen_by_its_members(theirs: Caller, who: str, group: Group) -> None:
    row = make_data_file(group, file=make_file())
    expected = OK if who in SEES_GROUPED else NOT_FOUND

    assert (row.pk in ids(theirs.get("data_files/"))) == (who in SEES_GROUPED)
    assert theirs.get(f"data_files/{row.pk}/").code == expected
    assert theirs.get(f"data_files/{row.pk}/content/").code == expected


def test_analyses_are_found_by_those_who_see_their_portfolio(theirs: Caller, who: str, group: Group) -> None:
    row = make_complete_analysis(portfolio=make_portfolio(group))
    expected = OK if who in SEES_GROUPED else NOT_FOUND

    for route in ANALYSIS_ROUTES:
        assert theirs.get(f"analyses/{row.pk}/{route}").code == expected


def test_analyses_of_portfolios_without_a_group_are_found_by_everybody(theirs: Caller) -> None:
    row = make_complete_analysis()

    for route in ANALYSIS_ROUTES:
        assert theirs.get(f"analyses/{row.pk}/{route}").code == OK


def test_a_portfolio_is_changed_by_those_who_see_it(theirs: Caller, who: str, group: Group) -> None:
    row = make_portfolio(group)

    answer = theirs.patch(f"portfolios/{row.pk}/", {"name": "New"})

    refused = NOT_FOUND if who in MAY_PASS else FORBIDDEN
    assert answer.code == (OK if who in SEES_GROUPED else refused)
    assert (Portfolio.objects.get().name == "New") == (who in SEES_GROUPED)


def test_nothing_of_a_portfolio_of_another_group_can_be_changed(stranger: Caller, group: Group) -> None:
    row = make_portfolio(group, reporting_currency="USD")
    before = Portfolio.objects.values().get()

    answers = [
        stranger.put(f"portfolios/{row.pk}/", {"name": "New"}),
        stranger.patch(f"portfolios/{row.pk}/", {"name": "New"}),
        stranger.delete(f"portfolios/{row.pk}/"),
        stranger.upload(f"portfolios/{row.pk}/location_file/", b"x", name="a.csv", content_type="text/csv"),
        stranger.delete(f"portfolios/{row.pk}/location_file/"),
        stranger.post(f"portfolios/{row.pk}/reporting_currency/", {"reporting_currency": "EUR"}),
        stranger.delete(f"portfolios/{row.pk}/reporting_currency/"),
        stranger.post(f"portfolios/{row.pk}/create_analysis/", {"name": "A"}),
    ]

    assert {answer.code for answer in answers} == {FORBIDDEN}
    assert answers[0].body == {"detail": "You do not have permission to perform this action."}
    assert Portfolio.objects.values().get() == before


def test_nothing_of_an_analysis_of_another_group_can_be_changed(stranger: Caller, group: Group) -> None:
    row = make_complete_analysis(portfolio=make_portfolio(group))
    before = Analysis.objects.values().get()
    route = f"analyses/{row.pk}"

    answers = [
        stranger.put(f"{route}/", {"name": "New"}),
        stranger.patch(f"{route}/", {"name": "New"}),
        stranger.delete(f"{route}/"),
        stranger.post(f"{route}/settings/", {}),
        stranger.delete(f"{route}/settings/"),
        stranger.upload(f"{route}/settings_file/", b"{}", name="a.json", content_type="application/json"),
        stranger.delete(f"{route}/settings_file/"),
        stranger.delete(f"{route}/output_file/"),
        *(
            stranger.post(f"{route}/{action}/")
            for action in ("generate_inputs", "run", "cancel", "cancel_generate_inputs", "cancel_analysis_run", "copy")
        ),
    ]

    assert {answer.code for answer in answers} == {FORBIDDEN}
    assert Analysis.objects.values().get() == before


def test_nothing_of_a_data_file_of_another_group_can_be_changed(stranger: Caller, group: Group) -> None:
    row = make_data_file(group, file=make_file())

    answers = [
        stranger.patch(f"data_files/{row.pk}/", {"file_description": "New"}),
        stranger.delete(f"data_files/{row.pk}/"),
        stranger.upload(f"data_files/{row.pk}/content/", b"x", name="a", content_type="text/csv"),
        stranger.delete(f"data_files/{row.pk}/content/"),
    ]

    assert {answer.code for answer in answers} == {FORBIDDEN}


def test_a_member_does_not_find_a_portfolio_without_a_group(stranger: Caller) -> None:
    row = make_portfolio()

    assert stranger.get(f"portfolios/{row.pk}/").code == NOT_FOUND
    assert stranger.patch(f"portfolios/{row.pk}/", {"name": "New"}).code == NOT_FOUND


def test_an_upload_belongs_to_the_groups_of_its_portfolio(version: str, group: Group) -> None:
    row = make_portfolio(group)
    member = Caller(make_user(group, make_group()), version)

    answer = member.upload(f"portfolios/{row.pk}/location_file/", b"x", name="a.csv", content_type="text/csv")

    assert (answer.code, answer.body["groups"]) == (OK, [group.name])


def test_an_analysis_uses_only_what_its_maker_sees(stranger: Caller, group: Group, version: str) -> None:
    body = {
        "name": "A",
        "portfolio": make_portfolio(group).pk,
        "model": make_model(group, run_mode=version.upper()).pk,
        "complex_model_data_files": [make_data_file(group).pk],
    }

    answer = stranger.post("analyses/", body)

    assert answer.code == BAD_REQUEST
    assert set(answer.body) == {"portfolio", "model", "complex_model_data_files"}
    assert answer.body["model"] == ["You are not allowed to use this model"]


def test_a_member_may_not_use_a_model_without_a_group(version: str, group: Group) -> None:
    member = Caller(make_user(group), version)
    body = {"name": "A", "portfolio": make_portfolio(group).pk, "model": make_model(run_mode=version.upper()).pk}

    answer = member.post("analyses/", body)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"model"})


def test_a_member_makes_an_analysis_of_what_the_group_has(version: str, group: Group) -> None:
    member = Caller(make_user(group), version)
    model = make_model(group, run_mode=version.upper())

    answer = member.post("analyses/", {"name": "A", "portfolio": make_portfolio(group).pk, "model": model.pk})

    assert answer.code == CREATED
    assert member.post(f"analyses/{answer.body['id']}/generate_inputs/").code == OK


def test_an_analysis_cannot_be_moved_to_a_portfolio_that_its_mover_does_not_see(
    version: str, group: Group, stranger: Caller
) -> None:
    row = make_analysis()

    moved = stranger.patch(f"analyses/{row.pk}/", {"portfolio": make_portfolio(group).pk})
    copied = stranger.post(f"analyses/{row.pk}/copy/", {"portfolio": make_portfolio(group).pk})

    for answer in (moved, copied):
        assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"portfolio"})


def test_a_model_of_another_group_runs_nothing(stranger: Caller, group: Group, version: str) -> None:
    row = make_complete_analysis(model=make_model(group, run_mode=version.upper()))

    for action in ("generate_inputs", "run"):
        assert stranger.post(f"analyses/{row.pk}/{action}/").code == FORBIDDEN


def test_membership_ends_at_once(version: str, group: Group) -> None:
    row, member = make_portfolio(group), make_user(group)
    before = Caller(member, version).get(f"portfolios/{row.pk}/")

    member.groups.clear()

    assert (before.code, Caller(member, version).get(f"portfolios/{row.pk}/").code) == (OK, NOT_FOUND)


@pytest.fixture
def opened(settings: Settings) -> None:
    """A site that lets everybody see and change everything in V1."""
    settings.QANAT = settings.QANAT.model_copy(update={"enforce_groups_on_v1": False})


@pytest.mark.usefixtures("opened")
def test_a_site_may_show_everything_to_everybody_in_v1_only(stranger: Caller, group: Group, version: str) -> None:
    row = make_portfolio(group, reporting_currency="USD")
    shown = version == "v1"

    assert ids(stranger.get("portfolios/")) == ([row.pk] if shown else [])
    for route in ("", "storage_links/", "reporting_currency/"):
        assert stranger.get(f"portfolios/{row.pk}/{route}").code == (OK if shown else NOT_FOUND)


@pytest.mark.usefixtures("opened")
def test_where_v1_is_open_everybody_changes_and_uses_everything(stranger: Caller, group: Group, version: str) -> None:
    portfolio, model = make_portfolio(group), make_model(group, run_mode=version.upper())
    body = {"name": "A", "portfolio": portfolio.pk, "model": model.pk}
    analysis = make_complete_analysis(portfolio=portfolio, model=model)

    codes = [
        stranger.patch(f"portfolios/{portfolio.pk}/", {"name": "New"}).code,
        stranger.post("analyses/", body).code,
        stranger.post(f"analyses/{analysis.pk}/generate_inputs/").code,
    ]

    assert codes == ([OK, CREATED, OK] if version == "v1" else [FORBIDDEN, BAD_REQUEST, FORBIDDEN])


@pytest.mark.usefixtures("opened")
def test_where_v1_is_open_the_files_of_groups_are_theirs_even_so(stranger: Caller, group: Group, version: str) -> None:
    analysis = make_complete_analysis(portfolio=make_portfolio(group))
    portfolio = analysis.portfolio
    kept = FORBIDDEN if version == "v1" else NOT_FOUND

    for route in (f"portfolios/{portfolio.pk}/location_file/", f"analyses/{analysis.pk}/settings_file/"):
        assert stranger.get(route).code == kept
        assert stranger.delete(route).code == FORBIDDEN
    assert stranger.get(f"analyses/{analysis.pk}/settings/").code == kept


def test_a_hidden_model_of_another_group_is_brought_back_by_nobody_else(
    stranger: Caller, group: Group, version: str
) -> None:
    identity = {"supplier_id": "S", "model_id": "M", "version_id": "1"}
    row = make_model(group, deleted=True)
    RiskModel.objects.update(**identity)

    assert stranger.post("models/", identity).code == FORBIDDEN

    row.groups.clear()
    unseen = stranger.post("models/", identity)
    assert (unseen.code, set(unseen.body)) == (BAD_REQUEST, {"non_field_errors"})
    assert Caller(make_user(), version).post("models/", identity).code == OK
