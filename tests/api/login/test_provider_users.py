"""Users of the identity provider are users here, with the name, the groups and the rank that the provider says."""

import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from qanat.server.accounts import provider as providers
from qanat.server.accounts.models import Identity
from tests.api.caller import FORBIDDEN, OK, Answer, Caller
from tests.api.login.browser import Browser
from tests.factories import make_group, make_portfolio
from tests.identity_provider import TERSE, IdentityProvider

pytestmark = [pytest.mark.xdist_group("identity provider"), pytest.mark.django_db]
NOW = int(time.time())


def ask(token: str, path: str = "v2/portfolios/") -> Answer:
    return Caller(None, headers={"Authorization": f"Bearer {token}"}).get(path)


def come(provider: IdentityProvider, **claims: Any) -> User:  # noqa: ANN401 - claims
    """Come with a token, and return who that is here."""
    made = provider.claims(**claims)
    assert ask(provider.sign(made)).code == OK
    return Identity.objects.get(subject=made["sub"]).user


def groups_of(user: User) -> set[str]:
    return {group.name for group in user.groups.all()}


def test_whoever_comes_first_becomes_a_user_without_a_password(provider: IdentityProvider) -> None:
    user = come(provider, groups=["/analysts", "uk/motor"])

    assert (user.username, groups_of(user)) == ("anna", {"analysts", "uk/motor"})
    assert (user.is_staff, user.is_superuser, user.has_usable_password()) == (False, False, False)


def test_a_user_sees_what_their_groups_have(provider: IdentityProvider) -> None:
    make_portfolio(make_group("analysts"))
    make_portfolio(make_group("others"))

    answer = ask(provider.sign(provider.claims()))

    assert [row["groups"] for row in answer.body] == [["analysts"]]


def test_a_real_user_is_in_the_groups_of_the_provider_and_moves_with_the_next_token(provider: IdentityProvider) -> None:
    browser = Browser(provider)
    assert ask(browser.tokens(username="boss")["access_token"]).code == OK
    boss = User.objects.get(username="boss")
    before = (boss.is_superuser, groups_of(boss))
    Identity.objects.update(as_of=1)  # the next token comes in the same second

    provider.put_into_groups("boss", ["/analysts"])
    try:
        assert ask(browser.tokens(username="boss")["access_token"]).code == OK
    finally:
        provider.put_into_groups("boss", ["/admin", "/analysts"])

    boss = User.objects.get(username="boss")
    assert before == (True, {"admin", "analysts"})
    assert (boss.is_superuser, boss.is_staff, groups_of(boss)) == (False, False, {"analysts"})


def test_an_older_token_that_is_still_good_does_not_bring_old_groups_back(provider: IdentityProvider) -> None:
    come(provider, iat=NOW - 10, groups=["/admin"])
    come(provider, iat=NOW - 5, groups=["/analysts"])

    user = come(provider, iat=NOW - 10, groups=["/admin"])

    assert (groups_of(user), user.is_superuser) == ({"analysts"}, False)


def test_the_same_token_again_writes_nothing(
    provider: IdentityProvider, django_assert_max_num_queries: pytest.FixtureRequest
) -> None:
    token = provider.sign(provider.claims())
    ask(token, "server_info/")

    with django_assert_max_num_queries(1):  # type: ignore[operator] # who this is
        assert ask(token, "server_info/").code == OK


def test_a_service_account_is_an_administrator_without_groups(provider: IdentityProvider) -> None:
    user = come(provider, sub="9", is_service_account=True, preferred_username=None, groups=None)

    assert (user.username, user.is_staff, user.is_superuser) == ("svc-9", True, True)


@pytest.mark.parametrize(
    "claims", [{"preferred_username": ""}, {"groups": []}, {"groups": "analysts"}, {"preferred_username": "a" * 151}]
)
def test_claims_that_make_nobody_open_nothing(provider: IdentityProvider, claims: dict[str, object]) -> None:
    answer = ask(provider.sign(provider.claims(**claims)))

    assert (answer.code, answer.body["code"]) == (FORBIDDEN, "token_not_valid")
    assert not User.objects.exists()


def test_a_user_in_no_group_of_the_provider_is_told_whom_to_ask(provider: IdentityProvider) -> None:
    answer = ask(Browser(provider).tokens(username="loner")["access_token"])

    assert answer.code == FORBIDDEN
    assert "belongs to no group" in answer.body["detail"]


def test_a_name_goes_to_whom_the_provider_gives_it_and_its_old_owner_keeps_the_rest(provider: IdentityProvider) -> None:
    old = User.objects.create_user("anna", password="p", is_superuser=True)
    portfolio = make_portfolio(creator=old)

    new = come(provider, sub="77")

    old.refresh_from_db()
    assert (new.username, old.username) == ("anna", "anna-77")
    assert (new.pk != old.pk, new.is_superuser, portfolio.creator) == (True, False, old)


def test_a_user_is_renamed_with_the_provider(provider: IdentityProvider) -> None:
    before = come(provider, iat=NOW - 10)

    after = come(provider, iat=NOW - 5, preferred_username="anna.b")

    assert (after.pk, after.username) == (before.pk, "anna.b")


def test_names_that_go_to_and_fro_lock_nobody_out(provider: IdentityProvider) -> None:
    for second, (subject, name) in enumerate([("1", "a"), ("2", "a"), ("1", "a"), ("2", "a"), ("1", "a")]):
        come(provider, sub=subject, preferred_username=name, iat=NOW - 20 + second)

    assert Identity.objects.get(subject="1").user.username == "a"


def test_a_user_who_was_switched_off_here_stays_out(provider: IdentityProvider) -> None:
    user = come(provider, iat=NOW - 10)
    user.is_active = False
    user.save()

    answer = ask(provider.sign(provider.claims()))

    assert (answer.code, answer.body["detail"]) == (FORBIDDEN, "This user has been switched off here.")


def test_what_a_token_does_not_say_the_provider_is_asked_for_once_a_token(
    provider: IdentityProvider, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.QANAT = settings.QANAT.model_copy(update={"oidc_client_name": TERSE})
    token = Browser(provider).tokens()["access_token"]
    asked = []
    userinfo = providers.Provider.userinfo

    def counted(self: providers.Provider, of: str) -> dict[str, Any]:
        asked.append(of)
        return userinfo(self, of)

    monkeypatch.setattr(providers.Provider, "userinfo", counted)

    settings.QANAT = settings.QANAT.model_copy(update={"oidc_client_name": "qanat"})
    codes = [ask(token).code for _ in range(3)]

    assert (codes, asked) == ([OK] * 3, [token])
    assert groups_of(User.objects.get(username="anna")) == {"analysts"}
