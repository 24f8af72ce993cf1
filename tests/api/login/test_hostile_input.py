"""Whatever is sent to the steps of a log-in: no error of the server."""

import json

import pytest
from django.test import Client

from tests.identity_provider import IdentityProvider

pytestmark = [pytest.mark.xdist_group("identity provider"), pytest.mark.usefixtures("provider")]
REFUSED = {400, 401, 403, 415, 429}
ODD = ["\ud800", "\x00", "é" * 5000, 1, None, [], {}, [[]], {"a": 1}, True, ""]
FIELDS = {
    "/api/access_token/": ("client_id", "client_secret"),
    "/api/oidc/callback/": ("code", "redirect_uri", "code_verifier", "nonce"),
    "/api/oidc/session_token/": ("session_token",),
}


@pytest.mark.parametrize("path", FIELDS)
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: ascii(odd)[:20])
def test_odd_fields_are_refused(path: str, odd: object) -> None:
    bodies = [odd, *({**dict.fromkeys(FIELDS[path], "x"), field: odd} for field in FIELDS[path])]

    codes = {Client().post(path, json.dumps(body), content_type="application/json").status_code for body in bodies}

    assert codes <= REFUSED


@pytest.mark.parametrize(
    "query", ["", "code=", "code=x&state=", "code=x&state=%ff", "state=%00&code=%00", "error=%0d%0aSet-Cookie:x"]
)
@pytest.mark.parametrize("cookie", ["", "x", "a:b:c", "é"])
def test_odd_ways_back_are_refused(query: str, cookie: str) -> None:
    browser = Client()
    browser.cookies["qanat_oidc"] = cookie

    answer = browser.get(f"/api/oidc/callback/?{query}")

    assert answer.status_code in REFUSED
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("after", ["%0d%0aSet-Cookie:x", "/%0d%0aSet-Cookie:x", "/%00", "/%ff", "///", "http:[::1"])
def test_odd_targets_do_no_harm(after: str) -> None:
    answer = Client().get(f"/api/oidc/authorize/?next={after}")

    assert answer.status_code in {302, 400}


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer a b c", "Bearer é", "bearer .", "Bearer ..", "Bearer e30"]
)
@pytest.mark.parametrize("path", ["/api/v2/portfolios/", "/api/server_info/"])
def test_odd_credentials_are_refused(path: str, header: str) -> None:
    assert Client().get(path, headers={"Authorization": header}).status_code == 403


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer é", "Bearer \x7f", "Basic x"])
def test_odd_refresh_tokens_are_refused(header: str) -> None:
    assert Client().post("/api/refresh_token/", headers={"Authorization": header}).status_code in REFUSED


def test_a_hint_for_logging_out_goes_along_as_it_is(provider: IdentityProvider) -> None:
    answer = Client().get("/api/oidc/logout/?id_token_hint=a%26b%0d%0a")

    assert answer.status_code == 302
    assert "id_token_hint=a%26b%0D%0A" in answer["Location"]
