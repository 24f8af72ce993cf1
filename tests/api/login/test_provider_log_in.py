"""Logging in through a real identity provider, with a browser and without, and what must not work."""

import base64
import hashlib
import json

import pytest
from django.test import Client
from pytest_django import Settings

from qanat.server.accounts import tickets
from qanat.server.accounts.models import Ticket
from tests.api.caller import BAD_REQUEST, OK, UNAUTHORIZED, UNAVAILABLE, Caller
from tests.api.login.browser import AUTHORIZE, CALLBACK, SESSION_TOKEN, Browser, query_of
from tests.identity_provider import CALLBACK as OUR_CALLBACK
from tests.identity_provider import OTHER_CALLBACK, ROBOT, ROBOT_SECRET, IdentityProvider

pytestmark = [pytest.mark.xdist_group("identity provider"), pytest.mark.django_db]
ALL_TOKENS = {"access_token", "token_type", "expires_in", "id_token", "refresh_token"}
ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "https://ui.example@evil.example/",
    "https://ui.example.evil.example/",
    "http://ui.example/",
    "javascript:alert(1)",
    "https:///evil.example",
]


@pytest.fixture
def browser(provider: IdentityProvider) -> Browser:
    """Somebody's browser."""
    return Browser(provider)


def bearing(token: str) -> Caller:
    return Caller(None, headers={"Authorization": f"Bearer {token}"})


def test_a_log_in_begins_at_the_provider_with_all_that_keeps_it_safe(browser: Browser) -> None:
    address = browser.begin(next="/after/")

    asked = query_of(address)
    assert address.startswith(f"{browser.provider.issuer}/authorize/?")
    assert (asked["response_type"], asked["client_id"], asked["redirect_uri"]) == ("code", "qanat", OUR_CALLBACK)
    assert set(asked["scope"].split()) == {"openid", "profile", "email", "offline_access"}
    assert asked["code_challenge_method"] == "S256"
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 43


def test_what_the_browser_keeps_meanwhile_is_out_of_reach_of_pages_and_other_sites(browser: Browser) -> None:
    browser.begin()

    [cookie] = browser.here.cookies.values()
    assert (cookie["httponly"], cookie["secure"], cookie["samesite"]) == (True, True, "Lax")
    assert cookie["path"] == CALLBACK


def test_a_log_in_ends_where_it_was_for_with_a_ticket_that_is_good_once(browser: Browser) -> None:
    found = browser.come_back(browser.log_in(browser.begin(next="https://ui.example/page?tab=1#part")))

    location = str(found["Location"])
    assert (found.status_code, location.startswith("https://ui.example/page?tab=1&session_token=")) == (302, True)
    assert location.endswith("#part")
    ticket = query_of(location)["session_token"]
    first, again = (browser.here.post(SESSION_TOKEN, {"session_token": ticket}) for _ in range(2))
    assert (first.status_code, set(first.json())) == (200, ALL_TOKENS)
    assert (again.status_code, "used already" in again.json()["detail"]) == (400, True)


def test_the_tokens_of_a_log_in_stand_neither_in_an_address_nor_readable_in_the_database(browser: Browser) -> None:
    found = browser.come_back(browser.log_in(browser.begin()))

    ticket = query_of(str(found["Location"]))["session_token"]
    claims = json.loads(base64.urlsafe_b64decode(ticket.split(".")[1] + "=="))
    kept = " ".join(Ticket.objects.values_list("content", flat=True))
    tokens = browser.here.post(SESSION_TOKEN, {"session_token": ticket})
    assert set(claims) == {"jti", "exp"}
    assert tokens.json()["access_token"] not in kept
    assert tokens["Cache-Control"] == "no-store"


def test_the_access_token_of_a_log_in_opens_the_api_in_both_versions(browser: Browser) -> None:
    token = browser.tokens()["access_token"]

    assert [bearing(token).get(f"{version}/portfolios/").code for version in ("v1", "v2")] == [OK, OK]


def test_a_state_that_comes_again_ends_nothing(browser: Browser) -> None:
    address = browser.begin()
    cookies = browser.here.cookies.output()
    back = browser.log_in(address)
    cookie = browser.here.cookies["qanat_oidc"].value
    assert browser.come_back(back).status_code == 302
    assert cookies

    browser.here.cookies["qanat_oidc"] = cookie  # whoever has copied both
    again = browser.come_back(back)

    assert (again.status_code, set(again.json())) == (400, {"state"})


def test_a_log_in_that_somebody_else_began_does_not_end_here(browser: Browser) -> None:
    back = Browser(browser.provider).log_in(browser.begin())
    other = Browser(browser.provider)
    other.begin()

    without, with_their_own = Browser(browser.provider).come_back(back), other.come_back(back)

    assert [answer.status_code for answer in (without, with_their_own)] == [400, 400]
    assert set(without.json()) == set(with_their_own.json()) == {"state"}


@pytest.mark.parametrize("after", ELSEWHERE)
def test_a_log_in_leads_to_no_other_site(browser: Browser, after: str) -> None:
    answer = browser.here.get(AUTHORIZE, {"next": after})

    assert answer.status_code == 400
    assert answer["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("after", ["/", "/page?x=1", "https://ui.example/page", "https://qanat.example/"])
def test_a_log_in_leads_to_pages_of_ours_and_of_listed_sites(browser: Browser, after: str) -> None:
    assert browser.here.get(AUTHORIZE, {"next": after}).status_code == 302


def test_a_user_who_declines_is_told_so(browser: Browser) -> None:
    browser.begin()

    answer = browser.come_back({"error": "access_denied", "error_description": "The user said no."})

    assert (answer.status_code, answer.json()) == (401, {"Detail": "The user said no."})


def test_coming_back_without_a_code_is_a_bad_request(browser: Browser) -> None:
    state = query_of(browser.begin())["state"]

    answer = browser.come_back({"state": state})

    assert (answer.status_code, set(answer.json())) == (400, {"code"})


def test_a_code_of_another_log_in_is_worth_nothing_here(browser: Browser) -> None:
    stolen = browser.log_in(browser.begin())["code"]
    other = Browser(browser.provider)
    state = query_of(other.begin())["state"]

    answer = other.come_back({"code": stolen, "state": state})  # with the wrong verifier, and the wrong nonce

    assert (answer.status_code, set(answer.json())) == (401, {"Detail"})


@pytest.mark.parametrize("given", [{}, {"session_token": "nonsense"}, {"session_token": "a.b.c"}])
def test_a_bad_ticket_is_refused(provider: IdentityProvider, given: dict[str, str]) -> None:
    answer = Caller(None).post("oidc/session_token/", given)

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"detail"})


def test_a_ticket_is_good_for_a_minute(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    found = browser.come_back(browser.log_in(browser.begin()))
    ticket = query_of(str(found["Location"]))["session_token"]
    Ticket.objects.exclude(content="").update(expires="2001-01-01T00:00Z")

    answer = browser.here.post(SESSION_TOKEN, {"session_token": ticket})

    assert answer.status_code == 400


def test_housekeeping_forgets_tickets(browser: Browser) -> None:
    browser.come_back(browser.log_in(browser.begin()))
    latest = Ticket.objects.latest("expires").expires

    tickets.forget(now=latest.replace(year=latest.year + 1))

    assert not Ticket.objects.exists()


def code_for_a_programme(browser: Browser, *, nonce: str, verifier: str) -> str:
    """Return a code that a programme got from the provider itself."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    address = (
        f"{browser.provider.issuer}/authorize/?response_type=code&client_id=qanat&scope=openid&state=s&nonce={nonce}"
        f"&redirect_uri=https%3A%2F%2Fui.example%2Fafter&code_challenge={challenge}&code_challenge_method=S256"
    )
    with browser.provider.browser() as there:
        return query_of(browser.provider.log_in(there, address))["code"]


def test_a_programme_exchanges_a_code_of_its_own(browser: Browser) -> None:
    verifier = "v" * 43
    form = {"code": code_for_a_programme(browser, nonce="n", verifier=verifier), "redirect_uri": OTHER_CALLBACK}

    without = Client().post(CALLBACK, form)
    answer = Client().post(CALLBACK, {**form, "code_verifier": verifier, "nonce": "n"})

    assert (without.status_code, set(without.json())) == (401, {"Detail"})
    assert (answer.status_code, set(answer.json())) == (200, ALL_TOKENS)


def test_a_nonce_of_another_log_in_is_refused(browser: Browser) -> None:
    verifier = "v" * 43
    form = {
        "code": code_for_a_programme(browser, nonce="n", verifier=verifier),
        "redirect_uri": OTHER_CALLBACK,
        "code_verifier": verifier,
        "nonce": "another",
    }

    answer = Client().post(CALLBACK, form)

    assert (answer.status_code, answer.json()) == (401, {"Detail": "This ID token belongs to another log-in."})


def test_a_code_for_a_site_that_is_not_listed_is_not_exchanged(provider: IdentityProvider) -> None:
    answer = Caller(None).post("oidc/callback/", {"code": "c", "redirect_uri": "https://evil.example/"})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"redirect_uri"})


def test_a_programme_without_a_code_is_told_so(provider: IdentityProvider) -> None:
    answer = Caller(None).post("oidc/callback/", {})

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"code"})


def test_logging_out_leads_to_the_provider_and_back(browser: Browser) -> None:
    hint = browser.tokens()["id_token"]

    answer = browser.here.get("/api/oidc/logout/", {"id_token_hint": hint})

    assert answer.status_code == 302
    with browser.provider.browser() as there:
        back = there.get(str(answer["Location"]))
    assert (back.status_code, back.headers["Location"]) == (302, "https://qanat.example/")


def test_a_service_logs_in_with_its_own_credentials(provider: IdentityProvider) -> None:
    answer = Caller(None).post("access_token/", {"client_id": ROBOT, "client_secret": ROBOT_SECRET})

    assert answer.code == OK
    assert set(answer.body) == {"access_token", "token_type", "expires_in"}
    assert bearing(answer.body["access_token"]).get("v2/analysis-task-statuses/").code == OK


def test_a_wrong_secret_of_a_service_is_refused(provider: IdentityProvider) -> None:
    answer = Caller(None).post("access_token/", {"client_id": ROBOT, "client_secret": "wrong"})

    assert (answer.code, set(answer.body)) == (UNAUTHORIZED, {"Detail"})
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'


def test_passwords_are_refused_with_the_words_that_the_stock_client_looks_for(provider: IdentityProvider) -> None:
    answer = Caller(None).post("access_token/", {"username": "anna", "password": "p"})

    assert answer.code == BAD_REQUEST
    assert "flow is disabled" in answer.body[0]


def test_a_refresh_token_of_the_provider_gives_new_tokens(browser: Browser) -> None:
    before = browser.tokens()

    answer = bearing(before["refresh_token"]).post("refresh_token/")

    assert answer.code == OK
    assert set(answer.body) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert bearing(answer.body["access_token"]).get("v2/portfolios/").code == OK


def test_a_bad_refresh_token_is_refused(provider: IdentityProvider) -> None:
    answer = bearing("nonsense").post("refresh_token/")

    assert (answer.code, set(answer.body)) == (UNAUTHORIZED, {"Detail"})


def test_server_info_tells_where_to_log_in(browser: Browser) -> None:
    config = bearing(browser.tokens()["access_token"]).get("server_info/").body["config"]

    assert config["API_AUTH_TYPE"] == "oidc"
    assert config["OIDC_OP_AUTHORIZATION_ENDPOINT"] == f"{browser.provider.issuer}/authorize/"
    assert config["OIDC_OP_TOKEN_ENDPOINT"] == f"{browser.provider.issuer}/token/"
    assert config["OIDC_OP_USER_ENDPOINT"] == f"{browser.provider.issuer}/userinfo/"


@pytest.mark.parametrize("path", ["server_info/", "v2/portfolios/", "v1/models/"])
def test_nobody_comes_in_without_a_token(provider: IdentityProvider, path: str) -> None:
    anonymous = Caller(None).get(path)
    basic = Caller(None, headers={"Authorization": "Basic YTpi"}).get(path)

    assert (anonymous.code, basic.code) == (403, 403)


def test_a_provider_that_is_away_is_told(provider: IdentityProvider, settings: Settings) -> None:
    settings.QANAT = settings.QANAT.model_copy(update={"oidc_endpoint": "http://127.0.0.1:1/o"})

    answer = bearing(provider.sign(provider.claims())).get("v2/portfolios/")

    assert answer.code == UNAVAILABLE
    assert "does not answer" in answer.body["detail"]


@pytest.mark.parametrize("path", ["oidc/authorize/", "oidc/logout/", "oidc/callback/"])
def test_without_a_provider_there_is_nothing_to_log_in_through(path: str) -> None:
    answer = Caller(None).get(path)

    assert answer.code == BAD_REQUEST
    assert b"is off on this server" in answer.content
