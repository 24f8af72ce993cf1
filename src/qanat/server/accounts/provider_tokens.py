"""Tokens of the identity provider, checked here: signature, issuer, audience, expiry, kind and nonce.

Only signatures by a key pair are taken: with a shared key, or none, anybody who knows the public key could sign. The
library looks for the key by the id in the token's header, and takes it only for the algorithms of its type.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

from qanat.server.accounts.provider import Provider

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
    "EdDSA",
)
REGISTRY: Final = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
CLOCK_SECONDS: Final = 30
"""By which the provider's clock and ours may differ."""
OTHER_KINDS: Final = ("ID", "Refresh", "Offline", "Logout")
"""What Keycloak signs besides access tokens (claim ``typ``)."""

Claims = Mapping[str, Any]


class TokenRefused(Exception):
    """A token is not one to believe; the message says why."""


def access_claims(provider: Provider, token: str) -> Claims:
    """Return the claims of an access token that was issued for us, or to us.

    Raises:
        TokenRefused: it is not good.
        ProviderUnavailable: there are no keys to check it with.
    """
    header, claims = _verified(provider, token)
    if claims.get("typ") in OTHER_KINDS or "at_hash" in claims or header.get("typ") == "logout+jwt":
        message = "This is no access token: send the access token of the identity provider."
        raise TokenRefused(message)
    client = provider.setup.client
    # Keycloak names whom a token was issued to (azp), and an audience only where a mapper adds one.
    if client not in _audience(claims) and client not in (claims.get("azp"), claims.get("client_id")):
        message = f"This token is for somebody else: its audience (claim 'aud') must have '{client}'."
        raise TokenRefused(message)
    return claims


def id_claims(provider: Provider, token: str, *, access_token: str, nonce: str | None) -> Claims:
    """Return the claims of the ID token that came with an access token.

    Raises:
        TokenRefused: it is not good, or not the answer to the log-in with this nonce.
        ProviderUnavailable: there are no keys to check it with.
    """
    header, claims = _verified(provider, token)
    client = provider.setup.client
    audience = _audience(claims)
    if (
        client not in audience
        or (len(audience) > 1 and claims.get("azp") != client)
        or claims.get("azp", client) != client
    ):
        message = f"This ID token is not for '{client}'."
        raise TokenRefused(message)
    if nonce is not None and not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        message = "This ID token belongs to another log-in."
        raise TokenRefused(message)
    if "at_hash" in claims and claims["at_hash"] != _half_hash(str(header.get("alg")), access_token):
        message = "The ID token and the access token do not belong together."
        raise TokenRefused(message)
    return claims


def _verified(provider: Provider, token: str) -> tuple[Claims, Claims]:
    """Return header and claims of a token that the provider has signed, and that has not expired."""
    try:
        keys = provider.keys(naming=_key_id(token))
        decoded = jwt.decode(token, keys, registry=REGISTRY)
        wanted = JWTClaimsRegistry(
            leeway=CLOCK_SECONDS,
            iss={"essential": True, "value": provider.setup.issuer},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        wanted.validate(decoded.claims)
    except ExpiredTokenError:
        message = "The token has expired: get a new one."
        raise TokenRefused(message) from None
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        message = f"The token is not one of the identity provider's: {error}"
        raise TokenRefused(message) from error
    return decoded.header, decoded.claims


def _key_id(token: str) -> str | None:
    """Return which key a token says it is signed with; nothing is believed of it yet.

    Raises:
        ValueError: it is no token.
    """
    header, _, _ = token.partition(".")
    said = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    if not isinstance(said, dict) or said.get("alg") not in ALGORITHMS:
        message = "it must be a JSON web token that is signed with a key pair"
        raise ValueError(message)
    return str(said["kid"]) if "kid" in said else None


def _audience(claims: Claims) -> list[str]:
    given = claims.get("aud", [])
    return [given] if isinstance(given, str) else list(given)


def _half_hash(algorithm: str, token: str) -> str:
    """Return the left half of a token's hash (OpenID Connect Core 1.0, section 3.1.3.6)."""
    bits = algorithm[-3:] if algorithm[-3:] in {"256", "384", "512"} else "512"
    digest = hashlib.new(f"sha{bits}", token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")
