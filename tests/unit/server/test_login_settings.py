"""How users log in is set by the names that the reference platform has; what is unsafe does not start."""

import pytest

from qanat.server.accounts.provider import setup_of
from qanat.server.config.environment import BadSettings, ServerSettings, load

KEYCLOAK = {
    "OASIS_SERVER_API_AUTH_TYPE": "keycloak",
    "OASIS_SERVER_OIDC_ENDPOINT": "https://ui.example/auth/realms/oasis/protocol/openid-connect/",
    "OASIS_OIDC_CLIENT_NAME": "oasis-server",
    "QANAT_OIDC_CLIENT_SECRET": "s",
    "INGRESS_EXTERNAL_HOST": "ui.example",
}


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> ServerSettings:
    for name, value in {**KEYCLOAK, **variables}.items():
        monkeypatch.setenv(name, value)
    return load()


def test_users_have_passwords_here_unless_told_otherwise() -> None:
    assert (load().api_auth_type, load().through_provider) == ("simple", False)


def test_the_names_of_the_reference_platform_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    server = read(monkeypatch)

    assert (server.api_auth_type, server.oidc_client_name, server.external_origin) == (
        "keycloak",
        "oasis-server",
        "https://ui.example",
    )
    assert "'s'" not in repr(server)


@pytest.mark.parametrize(
    ("kind", "endpoint", "base", "issuer"),
    [
        (
            "keycloak",
            "https://h/auth/realms/oasis/protocol/openid-connect/",
            "https://h/auth/realms/oasis",
            "https://h/auth/realms/oasis",
        ),
        (
            "authentik",
            "https://h/application/o/",
            "https://h/application/o/oasis-server",
            "https://h/application/o/oasis-server/",
        ),
        ("oidc", "https://h/o", "https://h/o", "https://h/o"),
        ("oidc", "https://h/o/", "https://h/o", "https://h/o/"),
    ],
)
def test_where_a_provider_is_follows_from_its_endpoint(
    monkeypatch: pytest.MonkeyPatch, kind: str, endpoint: str, base: str, issuer: str
) -> None:
    server = read(monkeypatch, OASIS_SERVER_API_AUTH_TYPE=kind, OASIS_SERVER_OIDC_ENDPOINT=endpoint)

    setup = setup_of(server)

    assert (setup.base, setup.issuer, setup.verify, setup.plain) == (base, issuer, True, False)
    assert "secret" not in repr(setup)


def test_an_issuer_that_tokens_name_otherwise_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    server = read(monkeypatch, QANAT_OIDC_ISSUER="https://other/realms/oasis")

    assert setup_of(server).issuer == "https://other/realms/oasis"


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"OASIS_OIDC_CLIENT_NAME": ""}, "needs QANAT_OIDC_CLIENT_NAME"),
        ({"INGRESS_EXTERNAL_HOST": ""}, "needs QANAT_INGRESS_EXTERNAL_HOST"),
        ({"QANAT_OIDC_VERIFY_SSL": "false"}, "SSL_CERT_FILE"),
        ({"OASIS_SERVER_OIDC_VERIFY_SSL": "false"}, "SSL_CERT_FILE"),
        ({"OASIS_SERVER_OIDC_ENDPOINT": "http://ui.example/realms/x"}, "must begin with https://"),
        ({"QANAT_OIDC_REDIRECT_ORIGINS": '["https://ui.example/path"]'}, "should look like"),
        ({"QANAT_OIDC_REDIRECT_ORIGINS": '["http://ui.example"]'}, "should look like"),
        ({"QANAT_OIDC_REDIRECT_ORIGINS": '["*"]'}, "should look like"),
        ({"OASIS_SERVER_API_AUTH_TYPE": "ldap"}, "API_AUTH_TYPE"),
    ],
)
def test_what_is_unsafe_or_incomplete_does_not_start(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sentence: str
) -> None:
    with pytest.raises(BadSettings, match=sentence):
        read(monkeypatch, **variables)


def test_who_debugs_may_do_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    server = read(
        monkeypatch,
        QANAT_DEBUG="true",
        QANAT_OIDC_VERIFY_SSL="false",
        OASIS_SERVER_OIDC_ENDPOINT="http://localhost:8080/realms/x",
        INGRESS_EXTERNAL_HOST="localhost:8000",
    )

    assert server.external_origin == "http://localhost:8000"
