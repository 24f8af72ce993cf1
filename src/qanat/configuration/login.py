"""How users prove who they are."""

from datetime import timedelta
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from qanat.configuration.base import Settings
from qanat.configuration.names import Bare, Key, OfServer, Own
from qanat.configuration.values import AnyCase, Duration, ListOf
from qanat.domain.hosts import is_loopback


class LoginSettings(Settings):
    """How users prove who they are."""

    debug: OfServer[bool] = False
    """For developers: errors show their code, keys may be weak, and identity providers may do without TLS."""
    api_auth_type: OfServer[AnyCase[Literal["simple", "oidc", "keycloak", "authentik", "disabled"]]] = "simple"
    """``simple``: names and passwords of our own; ``disabled``: everybody is the first administrator; else: through an
    identity provider that speaks OpenID Connect."""
    allowed_oidc_auth_providers: OfServer[ListOf[str]] = []
    """Which kinds of provider ``API_AUTH_TYPE`` may name; empty: all of the above."""
    oidc_endpoint: OfServer[str] = ""
    """The provider's address: of Keycloak ``https://HOST/realms/REALM/protocol/openid-connect/``, of authentik
    ``https://HOST/application/o/``, of others the issuer."""
    oidc_issuer: OfServer[str] = ""
    """What tokens must call their issuer, where it is not what follows from the endpoint."""
    oidc_client_name: OfServer[str] = ""
    """What the provider knows this server as."""
    oidc_client_secret: OfServer[SecretStr] = SecretStr("")
    """Its secret there."""
    oidc_verify_ssl: OfServer[bool] = True
    """Whether the provider must prove who it is; only for debugging not."""
    oidc_redirect_origins: OfServer[ListOf[str]] = []
    """Where else a log-in may lead back to, such as ``https://ui.example.com``."""
    ingress_external_host: Annotated[OfServer[str], Bare(("INGRESS_EXTERNAL_HOST",))] = ""
    """The host, and port, by which browsers know this server."""
    ingress_internal_host: Annotated[OfServer[str], Bare(("INGRESS_INTERNAL_HOST",))] = ""
    """Where the server itself finds that host, if not by its name."""
    proxies: int = Field(default=0, ge=0)
    """How many reverse proxies of ours stand before the API: so many of the last addresses in ``X-Forwarded-For`` are
    to be believed."""

    access_token_lifetime: Annotated[
        Duration,
        Key("server", "TOKEN_ACCESS_LIFETIME"),
        Own(("QANAT_ACCESS_TOKEN_LIFETIME", "QANAT_ACCESS_TOKEN_SECONDS")),
    ] = timedelta(hours=1)
    """How long an access token is good for, such as ``hours=1,minutes=30``, or in seconds."""
    refresh_token_lifetime: Annotated[
        Duration,
        Key("server", "TOKEN_REFRESH_LIFETIME"),
        Own(("QANAT_REFRESH_TOKEN_LIFETIME", "QANAT_REFRESH_TOKEN_SECONDS")),
    ] = timedelta(days=2)
    """How long a refresh token is good for, likewise."""
    refresh_token_rotate: Annotated[bool, Key("server", "TOKEN_REFRESH_ROTATE")] = True
    """Give a new refresh token for each one, which is then good no more."""
    admin_user: Annotated[str, Bare(("OASIS_SERVICE_USERNAME_OR_ID", "OASIS_ADMIN_USER"))] = ""
    """An administrator who is made, or given the password that follows, when the API starts; nobody is made where users
    log in through a provider."""
    admin_password: Annotated[SecretStr, Bare(("OASIS_SERVICE_PASSWORD_OR_SECRET", "OASIS_ADMIN_PASS"))] = SecretStr("")
    """The administrator's password."""

    @property
    def through_provider(self) -> bool:
        """Whether users log in through an identity provider."""
        return self.api_auth_type not in {"simple", "disabled"}

    @property
    def external_origin(self) -> str:
        """Where browsers find this server."""
        plain = self.debug and is_loopback(self.ingress_external_host)
        return f"{'http' if plain else 'https'}://{self.ingress_external_host}"

    def idle(self) -> dict[str, str]:
        """Return what belongs to other ways of logging in."""
        if self.through_provider:
            return {
                **super().idle(),
                **dict.fromkeys(("admin_user", "admin_password"), "users log in through a provider"),
            }
        names = [name for name in LoginSettings.model_fields if "oidc" in name]
        return {**super().idle(), **dict.fromkeys(names, "users do not log in through a provider")}

    @model_validator(mode="after")
    def _login_is_complete(self) -> Self:
        if bool(self.admin_user) != bool(self.admin_password.get_secret_value()):
            message = "QANAT_ADMIN_USER and QANAT_ADMIN_PASSWORD go together: give both or neither"
            raise ValueError(message)
        if not self.through_provider:
            return self
        allowed = [name.lower() for name in self.allowed_oidc_auth_providers]
        if allowed and self.api_auth_type not in allowed:
            message = (
                f"API_AUTH_TYPE '{self.api_auth_type}' is not among ALLOWED_OIDC_AUTH_PROVIDERS ({', '.join(allowed)})"
            )
            raise ValueError(message)
        needed = ("oidc_endpoint", "oidc_client_name", "ingress_external_host")
        if missing := [f"QANAT_{name.upper()}" for name in needed if not getattr(self, name)]:
            message = f"logging in through '{self.api_auth_type}' needs {' and '.join(missing)}"
            raise ValueError(message)
        if not self.debug and not self.oidc_verify_ssl:
            message = (
                "QANAT_OIDC_VERIFY_SSL can be false with QANAT_DEBUG only: name the certificates of your own "
                "authority in SSL_CERT_FILE instead"
            )
            raise ValueError(message)
        if not self.debug and not self.oidc_endpoint.startswith("https://"):
            message = "QANAT_OIDC_ENDPOINT must begin with https://, or whoever is on the way could log in as anybody"
            raise ValueError(message)
        if wrong := [origin for origin in self.oidc_redirect_origins if not _is_origin(origin, debug=self.debug)]:
            message = f"QANAT_OIDC_REDIRECT_ORIGINS: '{wrong[0]}' should look like https://ui.example.com"
            raise ValueError(message)
        return self


def _is_origin(text: str, *, debug: bool) -> bool:
    parts = urlsplit(text)
    return bool(parts.hostname) and text == f"{parts.scheme}://{parts.netloc}" and (parts.scheme == "https" or debug)
