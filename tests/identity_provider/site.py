"""The provider's pages: the toolkit's own, one to log in, and one by which tests move people between groups."""

import json
import time
from typing import Any

from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from joserfc import jwt
from joserfc.jwk import RSAKey
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauth2_provider.settings import oauth2_settings
from rest_framework.urls import urlpatterns as login_pages

from tests.identity_provider import CLIENT, TERSE

LIFETIME = 300


def claims_of(user: User | None, client: str) -> dict[str, Any]:
    """Return what tokens say of a user, or of a client that speaks for itself."""
    if user is None:
        return {"sub": f"client-{client}", "is_service_account": True}
    groups = sorted(group.name for group in user.groups.all())
    return {"sub": str(user.pk), "preferred_username": user.username, "groups": groups}


class Claims(OAuth2Validator):  # type: ignore[misc] # untyped
    """Says who somebody is, whatever the scope."""

    oidc_claim_scope = None

    def get_additional_claims(self, request: Any) -> dict[str, Any]:  # noqa: ANN401 - of oauthlib
        """Return the claims of ID tokens and of the userinfo endpoint."""
        return claims_of(request.user, request.client.client_id if request.client else "")


def access_token(request: Any) -> str:  # noqa: ANN401 - of oauthlib
    """Return an access token as Keycloak makes them: for its own console, issued to the client (``azp``)."""
    client, now = request.client.client_id, int(time.time())
    claims = claims_of(request.user, client)
    if client == TERSE:
        claims = {"sub": claims["sub"], "aud": CLIENT}
    key = RSAKey.import_key(oauth2_settings.OIDC_RSA_PRIVATE_KEY)
    about = {"iss": oauth2_settings.oidc_issuer(request), "iat": now, "exp": now + LIFETIME, "typ": "Bearer"}
    token = {"aud": ["account", CLIENT] if request.user is None else "account", "azp": client, **claims, **about}
    # Two in one second would be the same.
    return jwt.encode({"alg": "RS256", "kid": key.thumbprint()}, {**token, "jti": f"{time.time_ns()}"}, key)


@csrf_exempt
def person(request: HttpRequest, username: str) -> HttpResponse:
    """Put somebody into groups."""
    groups = [Group.objects.get_or_create(name=name)[0] for name in json.loads(request.body)]
    User.objects.get(username=username).groups.set(groups)
    return HttpResponse(status=204)


urlpatterns = [
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("", include((login_pages, "rest_framework"))),
    path("people/<str:username>/", person),
]
