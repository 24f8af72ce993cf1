"""Ways to log in: through an identity provider that runs, or not at all."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from pytest_django import Settings

from qanat.server.accounts import provider as providers
from tests import identity_provider
from tests.identity_provider import CLIENT, SECRET, IdentityProvider


@pytest.fixture(scope="session")
def running_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityProvider]:
    """An identity provider, for all tests of this process."""
    with identity_provider.running(tmp_path_factory.mktemp("provider")) as provider:
        yield provider


@pytest.fixture
def provider(running_provider: IdentityProvider, db: None, settings: Settings) -> IdentityProvider:
    """An identity provider through which users log in; it is asked without TLS, so the server debugs."""
    providers._provider.cache_clear()
    settings.QANAT = settings.QANAT.model_copy(
        update={
            "debug": True,
            "api_auth_type": "oidc",
            "oidc_endpoint": running_provider.issuer,
            "oidc_client_name": CLIENT,
            "oidc_client_secret": SecretStr(SECRET),
            "oidc_redirect_origins": ["https://ui.example"],
            "ingress_external_host": "qanat.example",
        }
    )
    return running_provider


@pytest.fixture
def nobody_logs_in(db: None, settings: Settings) -> None:
    """A server on which logging in is disabled."""
    settings.QANAT = settings.QANAT.model_copy(update={"api_auth_type": "disabled"})
