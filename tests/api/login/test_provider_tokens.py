"""Access tokens are checked here, and only good ones open anything: each of these is wrong in one way."""

import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from joserfc.util import urlsafe_b64encode
from pytest_django import Settings

from qanat.server.accounts import provider as providers
from tests.api.caller import FORBIDDEN, OK, Caller
from tests.identity_provider import CLIENT, IdentityProvider

pytestmark = [pytest.mark.xdist_group("identity provider"), pytest.mark.django_db]
Forgery = Callable[[IdentityProvider], str]
LONG_AGO = int(time.time()) - 3600


def changed(**claims: Any) -> Forgery:  # noqa: ANN401 - claims
    """Return a maker of tokens that are properly signed and have other claims."""
    return lambda provider: provider.sign(provider.claims(**claims))


def unsigned(provider: IdentityProvider) -> str:
    parts = [{"alg": "none", "typ": "JWT"}, provider.claims()]
    return ".".join([*(urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts), ""])


def stripped(provider: IdentityProvider) -> str:
    """Signed properly, and then without the signature."""
    return provider.sign(provider.claims()).rsplit(".", 1)[0] + "."


def signed_with_the_public_key(provider: IdentityProvider, form: str) -> str:
    """Signed with what everybody knows, as if it were a secret that is shared."""
    public = {
        "pem": lambda: provider.key.as_pem(private=False),
        "der": lambda: provider.key.as_der(private=False),
        "json": lambda: json.dumps(provider.key.as_dict(private=False)).encode(),
    }[form]()
    # By hand, for the library refuses to use such a key.
    parts = ({"alg": "HS256", "kid": provider.key.thumbprint()}, provider.claims())
    text = ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
    return f"{text}.{urlsafe_b64encode(hmac.digest(public, text.encode(), 'sha256')).decode()}"


def signed_by_somebody_else(provider: IdentityProvider) -> str:
    key = RSAKey.generate_key(2048)
    return jwt.encode({"alg": "RS256", "kid": provider.key.thumbprint()}, provider.claims(), key)


def signed_by_a_key_that_it_brings_along(provider: IdentityProvider) -> str:
    key = RSAKey.generate_key(2048)
    registry = jws.JWSRegistry(algorithms=["RS256"], strict_check_header=False)
    header = {"alg": "RS256", "jwk": key.as_dict(private=False)}
    return jwt.encode(header, provider.claims(), key, registry=registry)


def altered(provider: IdentityProvider) -> str:
    """Signed properly, and then made somebody else's."""
    head, _, signature = provider.sign(provider.claims()).split(".")
    body = urlsafe_b64encode(json.dumps(provider.claims(groups=["/admin"])).encode()).decode()
    return f"{head}.{body}.{signature}"


FORGERIES: dict[str, Forgery] = {
    "another issuer": changed(iss="https://evil.example/o"),
    "no issuer": changed(iss=None),
    "for somebody else": changed(aud="account"),
    "for nobody": changed(aud=None),
    "expired": changed(exp=LONG_AGO),
    "without an end": changed(exp=None),
    "not yet good": changed(nbf=int(time.time()) + 3600),
    "from the future": changed(iat=int(time.time()) + 3600),
    "without a time": changed(iat=None),
    "without a subject": changed(sub=None),
    "an ID token": changed(typ="ID"),
    "an ID token of another provider": changed(typ=None, at_hash="x"),
    "a refresh token": changed(typ="Refresh"),
    "nobody's name": changed(preferred_username="", groups=["/analysts"]),
    "groups that are no list": changed(groups="admin"),
    "unsigned": unsigned,
    "stripped": stripped,
    "signed with the public key, as PEM": lambda provider: signed_with_the_public_key(provider, "pem"),
    "signed with the public key, as DER": lambda provider: signed_with_the_public_key(provider, "der"),
    "signed with the public key, as JSON": lambda provider: signed_with_the_public_key(provider, "json"),
    "signed by somebody else": signed_by_somebody_else,
    "signed by a key that it brings along": signed_by_a_key_that_it_brings_along,
    "altered": altered,
    "no token at all": lambda _provider: "nonsense",
    "nested without end": lambda _provider: f"{urlsafe_b64encode(b'[' * 40_000).decode()}.e30.e30",
    "of a strange kind": changed(typ=["ID"], azp=["qanat"], aud=None),
    "nearly a token": lambda _provider: "e30.e30.e30",
}


def ask(token: str, path: str = "v2/portfolios/") -> Any:  # noqa: ANN401 - an answer
    return Caller(None, headers={"Authorization": f"Bearer {token}"}).get(path)


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_token_that_is_wrong_in_one_way_opens_nothing(provider: IdentityProvider, forgery: Forgery) -> None:
    answer = ask(forgery(provider))

    assert (answer.code, answer.body["code"]) == (FORBIDDEN, "token_not_valid")
    assert set(answer.body["messages"][0]) == {"token_class", "token_type", "message"}
    assert "WWW-Authenticate" not in answer.headers


def test_the_token_from_which_they_are_made_is_good(provider: IdentityProvider) -> None:
    assert ask(provider.sign(provider.claims())).code == OK


@pytest.mark.parametrize("claims", [{"aud": CLIENT, "azp": None}, {"aud": "account", "azp": CLIENT}])
def test_a_token_is_for_us_or_was_issued_to_us(provider: IdentityProvider, claims: dict[str, str]) -> None:
    assert ask(provider.sign(provider.claims(**claims))).code == OK


def test_a_token_of_our_own_is_none_of_the_providers(provider: IdentityProvider, settings: Settings) -> None:
    key = OctKey.import_key(settings.SECRET_KEY)
    own = jwt.encode({"alg": "HS256"}, provider.claims(), key)

    assert ask(own).code == FORBIDDEN


def test_checking_a_token_asks_nobody(provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(provider.sign(provider.claims())).code == OK

    monkeypatch.setattr(providers.Provider, "_send", None)  # whoever asks now fails

    assert ask(provider.sign(provider.claims())).code == OK


def test_keys_are_asked_for_once_however_many_tokens_name_others(
    provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    send = providers.Provider._send

    def counted(self: providers.Provider, *given: Any, **options: Any) -> Any:  # noqa: ANN401 - as sent
        asked.append(given)
        return send(self, *given, **options)

    monkeypatch.setattr(providers.Provider, "_send", counted)
    unknown = jwt.encode({"alg": "RS256", "kid": "unknown"}, provider.claims(), provider.key)

    answers = {ask(unknown).code for _ in range(5)}

    assert answers == {FORBIDDEN}
    assert len(asked) == 2  # the document and the keys


def test_new_keys_are_found(provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "PAUSE_SECONDS", 0.0)
    old = RSAKey.generate_key(2048)
    current = providers.provider()
    published = providers.Published(document=current._current().document, keys=KeySet([old]), at=time.monotonic())
    current._published = published

    assert ask(provider.sign(provider.claims())).code == OK


def test_a_provider_that_names_another_issuer_is_not_believed(provider: IdentityProvider, settings: Settings) -> None:
    settings.QANAT = settings.QANAT.model_copy(update={"oidc_issuer": "https://other.example"})

    answer = ask(provider.sign(provider.claims(iss="https://other.example")))

    assert answer.code == 503
    assert "QANAT_OIDC_ISSUER" in answer.body["detail"]


def test_outside_debugging_a_provider_is_asked_by_tls_only(provider: IdentityProvider, settings: Settings) -> None:
    settings.QANAT = settings.QANAT.model_copy(update={"debug": False})

    answer = ask(provider.sign(provider.claims()))

    assert answer.code == 503
    assert "only https://" in answer.body["detail"]
