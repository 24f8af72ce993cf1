"""Who follows from an identity provider's claims."""

import pytest

from qanat.domain.claims import LONGEST_NAME, ClaimsRefused, is_complete, person_of, renamed

CLAIMS: dict[str, object] = {"sub": "1", "preferred_username": "anna", "groups": ["/analysts", "uk/motor"]}


def test_a_person_has_the_groups_of_the_provider_without_their_first_slash() -> None:
    person = person_of(CLAIMS)

    assert (person.subject, person.username, person.is_admin) == ("1", "anna", False)
    assert person.groups == {"analysts", "uk/motor"}


@pytest.mark.parametrize("group", ["admin", "/admin"])
def test_the_group_of_administrators_makes_one(group: str) -> None:
    assert person_of({**CLAIMS, "groups": [group]}).is_admin


@pytest.mark.parametrize("group", ["admins", "/admin/sub", "Admin", "//admin"])
def test_no_other_group_does(group: str) -> None:
    assert not person_of({**CLAIMS, "groups": [group]}).is_admin


@pytest.mark.parametrize("said", [True, "true"])
def test_a_service_account_needs_neither_name_nor_groups(said: object) -> None:
    person = person_of({"sub": "7", "is_service_account": said})

    assert (person.username, person.groups, person.is_admin) == ("svc-7", frozenset(), True)


@pytest.mark.parametrize("said", [False, "false", 1.5, "yes", None, []])
def test_nobody_else_is_a_service_account(said: object) -> None:
    with pytest.raises(ClaimsRefused):
        person_of({"sub": "7", "is_service_account": said})


@pytest.mark.parametrize(
    "wrong",
    [
        {"sub": ""},
        {"sub": 1},
        {"sub": None},
        {"preferred_username": None},
        {"preferred_username": 5},
        {"preferred_username": "a" * (LONGEST_NAME + 1)},
        {"groups": []},
        {"groups": None},
        {"groups": "analysts"},
        {"groups": [1]},
        {"groups": ["a" * (LONGEST_NAME + 1)]},
    ],
)
def test_other_claims_make_nobody(wrong: dict[str, object]) -> None:
    with pytest.raises(ClaimsRefused):
        person_of({**CLAIMS, **wrong})


def test_claims_are_complete_when_nobody_else_need_be_asked() -> None:
    assert is_complete(CLAIMS)
    assert is_complete({"sub": "7", "is_service_account": True})
    assert not is_complete({"sub": "1", "preferred_username": "anna"})


@pytest.mark.parametrize("subject", ["1", "s" * 400])
def test_a_new_name_has_room_in_the_database(subject: str) -> None:
    name = renamed("a" * LONGEST_NAME, subject=subject)

    assert len(name) <= LONGEST_NAME
    assert name != "a" * LONGEST_NAME
