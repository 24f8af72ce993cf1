"""The identity provider, over HTTP: what it publishes of itself, its keys, and its token endpoint.

Of a log-in through a provider, this and ``provider_tokens`` are what must not be fooled. The provider's document is
taken only from where the settings say, only if it names the issuer that they name, and its addresses only with TLS.
Keys are kept, so that checking a token asks nobody.
"""

import base64
import logging
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any, Final
from urllib.parse import quote_plus

import httpx
from django.conf import settings
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from qanat.server.config.environment import ServerSettings

logger = logging.getLogger(__name__)

TIMEOUT: Final = httpx.Timeout(10, connect=5)
KEYCLOAK_ENDPOINT: Final = "/protocol/openid-connect"
DOCUMENT: Final = "/.well-known/openid-configuration"
ADDRESSES: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")
MORE_ADDRESSES: Final = ("userinfo_endpoint", "end_session_endpoint")
"""A provider need not have these."""
FRESH_SECONDS: Final = 600.0
"""For so long keys are used without asking for newer ones."""
PAUSE_SECONDS: Final = 10.0
"""Between two questions for keys, however many tokens name keys that nobody knows."""


class ProviderUnavailable(Exception):
    """The identity provider does not answer, or not as it should; the message says what it was asked."""


class ProviderRefused(Exception):
    """The identity provider refuses a log-in; the message is its own."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Which provider, and what it knows us as."""

    base: str
    """Where its document lies."""
    issuer: str
    client: str
    secret: str = field(repr=False)
    verify: bool
    plain: bool
    """Whether it may be asked without TLS."""
    external_host: str
    internal_host: str


@dataclass(frozen=True, kw_only=True)
class Published:
    """What the provider has said of itself, and when."""

    document: Mapping[str, str]
    keys: KeySet
    at: float
    """On the monotonic clock."""


class Provider:
    """The provider of one setup; threads share it."""

    def __init__(self, setup: Setup) -> None:
        """Ask nobody yet."""
        self.setup = setup
        self._lock = Lock()
        self._published: Published | None = None
        self._asked = float("-inf")
        self._trust = ssl.create_default_context() if setup.verify else httpx.create_ssl_context(verify=False)

    def address(self, name: str) -> str:
        """Return one of the provider's addresses, by its name in the provider's document; empty where it has none.

        Raises:
            ProviderUnavailable: there is nobody to ask.
        """
        return self._current().document.get(name, "")

    def keys(self, *, naming: str | None = None) -> KeySet:
        """Return the keys with which it signs; newer ones if there is none ``naming`` that id.

        Raises:
            ProviderUnavailable: there is nobody to ask.
        """
        published = self._current()
        if naming is not None and all(key.kid != naming for key in published.keys):
            published = self._newer(published, patient=True)
        return published.keys

    def token(self, *, client: str | None = None, secret: str | None = None, **form: str) -> dict[str, Any]:
        """Ask the token endpoint, in our own name or in that of another client.

        Raises:
            ProviderRefused: it says no.
            ProviderUnavailable: it says nothing sensible.
        """
        name, word = (self.setup.client, self.setup.secret) if client is None else (client, secret or "")
        headers = {"Accept": "application/json"}
        if word:
            pair = f"{quote_plus(name)}:{quote_plus(word)}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        else:
            form["client_id"] = name
        answer = self._send("POST", self.address("token_endpoint"), headers=headers, data=form)
        said = _object(answer)
        if answer.is_client_error:
            raise ProviderRefused(str(said.get("error_description") or said.get("error") or answer.reason_phrase))
        if not answer.is_success or not isinstance(said.get("access_token"), str):
            raise ProviderUnavailable(_strange(answer))
        return said

    def userinfo(self, access_token: str) -> dict[str, Any]:
        """Return what the provider says of whom an access token is about.

        Raises:
            ProviderRefused: the token is good no longer, or the provider tells nobody.
            ProviderUnavailable: it says nothing sensible.
        """
        address = self.address("userinfo_endpoint")
        if not address:
            return {}
        answer = self._send("GET", address, headers={"Authorization": f"Bearer {access_token}"})
        if answer.is_client_error:
            message = "The identity provider says nothing of the user of this token: it may have been revoked."
            raise ProviderRefused(message)
        if not answer.is_success:
            raise ProviderUnavailable(_strange(answer))
        return _object(answer)

    def _current(self) -> Published:
        published = self._published
        if published is not None and time.monotonic() - published.at < FRESH_SECONDS:
            return published
        return self._newer(published, patient=published is None)

    def _newer(self, known: Published | None, *, patient: bool) -> Published:
        """Ask the provider anew, one thread at a time and not too often; what was known is good until it answers."""
        if not self._lock.acquire(blocking=patient) and known is not None:
            return known
        try:
            if self._published is not None and self._published is not known:
                return self._published  # somebody else has asked meanwhile
            if time.monotonic() - self._asked >= PAUSE_SECONDS:
                self._asked = time.monotonic()
                try:
                    self._published = self._ask()
                except ProviderUnavailable as error:
                    logger.warning("%s", error)
                    if self._published is None:
                        raise
            if self._published is None:
                message = "The identity provider did not answer a moment ago: try again in some seconds."
                raise ProviderUnavailable(message)
            return self._published
        finally:
            self._lock.release()

    def _ask(self) -> Published:
        answer = self._send("GET", self.setup.base + DOCUMENT)
        said = _object(answer) if answer.is_success else {}
        if said.get("issuer") != self.setup.issuer:
            message = (
                f"The identity provider's document {self.setup.base}{DOCUMENT} should name the issuer "
                f"'{self.setup.issuer}', and names '{said.get('issuer')}' (HTTP {answer.status_code}): "
                "see QANAT_OIDC_ISSUER."
            )
            raise ProviderUnavailable(message)
        document = {name: str(said[name]) for name in (*ADDRESSES, *MORE_ADDRESSES) if said.get(name)}
        for name in ADDRESSES:
            if name not in document:
                message = f"The identity provider's document {self.setup.base}{DOCUMENT} lacks '{name}'."
                raise ProviderUnavailable(message)
        for name, address in document.items():
            if not address.startswith("https://") and not self.setup.plain:
                message = f"The identity provider's '{name}' is {address}: only https:// is asked."
                raise ProviderUnavailable(message)
        keys = self._send("GET", document["jwks_uri"])
        try:
            found = KeySet.import_key_set(_object(keys))  # type: ignore[arg-type] # JSON from elsewhere
        except (JoseError, ValueError, KeyError, TypeError) as error:
            message = f"The identity provider's keys at {document['jwks_uri']} cannot be read: {error}"
            raise ProviderUnavailable(message) from error
        return Published(document=document, keys=found, at=time.monotonic())

    def _send(self, method: str, address: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        url, headers, extensions = httpx.URL(address), dict(options.pop("headers", {})), {}
        if self.setup.internal_host and url.netloc.decode() == self.setup.external_host:
            # The same host by another way: it must still prove to be the one outside.
            headers["Host"], extensions = self.setup.external_host, {"sni_hostname": url.host}
            inside = httpx.URL(f"//{self.setup.internal_host}")
            url = url.copy_with(host=inside.host, port=inside.port)
        try:
            with httpx.Client(verify=self._trust, timeout=TIMEOUT, follow_redirects=False) as client:
                return client.request(method, url, headers=headers, extensions=extensions, **options)
        except httpx.HTTPError as error:
            message = f"The identity provider does not answer at {address}: {error}"
            raise ProviderUnavailable(message) from error


def provider() -> Provider:
    """Return the provider that the settings name."""
    return _provider(setup_of(settings.QANAT))


@lru_cache(maxsize=8)
def _provider(setup: Setup) -> Provider:
    return Provider(setup)


def setup_of(server: ServerSettings) -> Setup:
    """Return what the settings say of the provider."""
    base = server.oidc_endpoint.rstrip("/")
    ending = ""
    if server.api_auth_type == "keycloak":
        base = base.removesuffix(KEYCLOAK_ENDPOINT)
    elif server.api_auth_type == "authentik":
        base, ending = f"{base}/{server.oidc_client_name}", "/"
    elif server.oidc_endpoint.endswith("/"):
        ending = "/"
    return Setup(
        base=base,
        issuer=server.oidc_issuer or base + ending,
        client=server.oidc_client_name,
        secret=server.oidc_client_secret.get_secret_value(),
        verify=server.oidc_verify_ssl,
        plain=server.debug,
        external_host=server.ingress_external_host,
        internal_host=server.ingress_internal_host,
    )


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise ProviderUnavailable(_strange(answer))
    return said


def _strange(answer: httpx.Response) -> str:
    return f"The identity provider's answer at {answer.url} is not what it should be (HTTP {answer.status_code})."
