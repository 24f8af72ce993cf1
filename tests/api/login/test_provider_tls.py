"""The identity provider has to prove who it is, by whatever way it is reached."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from pytest_django import Settings

from qanat.server.accounts import provider as providers
from tests import identity_provider
from tests.api.caller import OK, UNAVAILABLE, Answer, Caller
from tests.identity_provider import CLIENT, HOST, IdentityProvider

pytestmark = [pytest.mark.xdist_group("identity provider"), pytest.mark.django_db]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who vouches for the provider."""
    return trustme.CA()


@pytest.fixture(scope="module")
def running(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityProvider]:
    """A provider that speaks TLS."""
    folder = tmp_path_factory.mktemp("tls")
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(folder / "certificate.pem")
    with identity_provider.running(folder, certificate=folder / "certificate.pem") as provider:
        yield provider


@pytest.fixture
def inside(running: IdentityProvider, settings: Settings) -> IdentityProvider:
    """The same, known by a name outside and found by its address inside, as behind an ingress."""
    providers._provider.cache_clear()
    address = running.origin.removeprefix("https://")
    outside = f"{HOST}:{address.rpartition(':')[2]}"
    settings.QANAT = settings.QANAT.model_copy(
        update={
            "api_auth_type": "oidc",
            "oidc_endpoint": f"https://{outside}/o",
            "oidc_client_name": CLIENT,
            "ingress_external_host": outside,
            "ingress_internal_host": address,
        }
    )
    return IdentityProvider(origin=f"https://{outside}", key=running.key)


def ask(provider: IdentityProvider) -> Answer:
    token = provider.sign(provider.claims())
    return Caller(None, headers={"Authorization": f"Bearer {token}"}).get("v2/portfolios/")


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust who vouches for the provider, as operators do."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


@pytest.mark.usefixtures("trusted")
def test_a_provider_is_found_inside_and_proves_to_be_the_one_outside(inside: IdentityProvider) -> None:
    assert ask(inside).code == OK


def test_a_provider_for_which_nobody_vouches_is_not_believed(inside: IdentityProvider) -> None:
    answer = ask(inside)

    assert answer.code == UNAVAILABLE
    assert "certificate verify failed" in answer.body["detail"]


@pytest.mark.usefixtures("trusted")
def test_a_provider_with_the_certificate_of_another_is_not_believed(
    inside: IdentityProvider, settings: Settings
) -> None:
    address = settings.QANAT.ingress_internal_host
    settings.QANAT = settings.QANAT.model_copy(update={"oidc_endpoint": f"https://{address}/o"})

    answer = ask(inside)

    assert answer.code == UNAVAILABLE
    assert "certificate verify failed" in answer.body["detail"]
