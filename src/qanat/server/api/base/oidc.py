"""Logging in through an identity provider with a browser (wire contract, section 1.2).

``authorize/`` sends the browser to the provider, which sends it back to ``callback/``. In between, a signed cookie
holds what only this browser may know: so nobody can be made to end somebody else's log-in, and none ends twice. The
page that the log-in was for is then given a ticket in its address, which it exchanges for tokens, once, within a
minute; the tokens themselves stand in no address. Programmes that know a code themselves post it to ``callback/``.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.core import signing
from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import OctKey
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from qanat.domain.hosts import is_loopback
from qanat.server.accounts import tickets
from qanat.server.accounts.provider import ProviderRefused, provider
from qanat.server.accounts.provider_tokens import TokenRefused, id_claims
from qanat.server.accounts.throttle import address_of, attempt
from qanat.server.api.base.tokens import REFUSALS, TokenView, tokens_of
from qanat.server.api.common.described import TEXT, Operation, Parameter, nullable, record
from qanat.server.api.common.parsers import JSONParser

SCOPE: Final = "openid profile email offline_access"
COOKIE: Final = "qanat_oidc"
CALLBACK: Final = "/api/oidc/callback/"
LOGIN_LIFETIME: Final = timedelta(minutes=10)
"""For whoever is asked for a second factor."""
TICKET_LIFETIME: Final = timedelta(minutes=1)
ALL_TOKENS: Final = record(
    access_token=TEXT, token_type=TEXT, expires_in={"type": "number"}, id_token=TEXT, refresh_token=nullable(TEXT)
)
FORM: Final = ("code", "redirect_uri", "code_verifier", "nonce")
OFF: Final = "Logging in through an identity provider is off on this server (QANAT_API_AUTH_TYPE)."
FOR_PEOPLE: Final = "text/plain; charset=utf-8"


class Authorize(TokenView):
    """``oidc/authorize/``: where a log-in begins."""

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"get": Operation(code=302, query=(Parameter(name="next"),), refusals=(503,), refusal_type="text/plain")}

    def get(self, request: Request) -> HttpResponseBase:
        """Send the browser to the identity provider, to come back and go on to ``next``."""
        after = request.query_params.get("next") or "/"
        if not settings.QANAT.through_provider:
            return _sentence(OFF)
        if not _may_lead_to(after):
            return _sentence(
                f"A log-in may not lead to '{after}': give a path of this server, or list its origin in "
                "QANAT_OIDC_REDIRECT_ORIGINS."
            )
        verifier = secrets.token_urlsafe(64)
        login = {"state": secrets.token_urlsafe(32), "nonce": secrets.token_urlsafe(32)}
        query = {
            "response_type": "code",
            "client_id": provider().setup.client,
            "scope": SCOPE,
            "redirect_uri": _callback(),
            **login,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        answer = HttpResponseRedirect(_with_query(provider().address("authorization_endpoint"), query))
        answer.set_cookie(
            COOKIE,
            signing.dumps({**login, "verifier": verifier, "next": after}, salt=COOKIE),
            max_age=LOGIN_LIFETIME,
            path=CALLBACK,
            secure=request.is_secure() or not is_loopback(request.get_host()),
            httponly=True,
            samesite="Lax",
        )
        return answer


class Callback(TokenView):
    """``oidc/callback/``: where a log-in ends."""

    parser_classes = (JSONParser, FormParser, MultiPartParser)

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        back = (Parameter(name="code"), Parameter(name="state"))
        form = {"type": "object", "properties": dict.fromkeys(FORM, TEXT), "required": ["code"]}
        return {
            "get": Operation(code=302, query=back, refusals=REFUSALS),
            "post": Operation(takes=form, gives=ALL_TOKENS, refusals=REFUSALS),
        }

    def get(self, request: Request) -> HttpResponseBase:
        """Take the browser back from the provider and on to where the log-in was for, with a ticket for its tokens."""
        _demand_provider()
        given = request.query_params
        login = _login_of(request)
        if "error" in given:
            return self.refuse({"Detail": given.get("error_description") or given["error"]})
        code = _code(given)
        if login is None or not hmac.compare_digest(given.get("state", "").encode(), login["state"].encode()):
            message = "This log-in was not begun in this browser, or more than ten minutes ago: begin anew."
            raise ValidationError({"state": [message]})
        if not tickets.spend(login["state"], lifetime=LOGIN_LIFETIME, now=timezone.now()):
            raise ValidationError({"state": ["This log-in has ended already: begin anew."]})
        answer = self.of_provider(
            lambda: _exchange(
                code=code, redirect_uri=_callback(), code_verifier=login["verifier"], nonce=login["nonce"]
            )
        )
        if answer.status_code != status.HTTP_200_OK:
            return answer
        found = HttpResponseRedirect(_with_query(login["next"], {"session_token": _session_token(answer.data)}))
        found.delete_cookie(COOKIE, path=CALLBACK)
        return found

    def post(self, request: Request) -> Response:
        """Exchange a code that a programme got from the provider itself."""
        _demand_provider()
        given = {
            name: str(request.data[name])
            for name in FORM
            if isinstance(request.data, Mapping) and request.data.get(name)
        }
        code = _code(given)
        target = given.get("redirect_uri", _callback())
        if target != _callback() and not _is_listed(target):
            message = "This address is not listed in QANAT_OIDC_REDIRECT_ORIGINS."
            raise ValidationError({"redirect_uri": [message]})
        verifier, nonce = given.get("code_verifier"), given.get("nonce")
        return self.of_provider(lambda: _exchange(code=code, redirect_uri=target, code_verifier=verifier, nonce=nonce))


class SessionToken(TokenView):
    """``oidc/session_token/``: what a ticket is good for."""

    parser_classes = (JSONParser, FormParser, MultiPartParser)

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        return {"post": Operation(takes=record(session_token=TEXT), gives=ALL_TOKENS, refusals=REFUSALS)}

    def post(self, request: Request) -> Response:
        """Exchange the ticket that came with the address for tokens; it is good once, for a minute."""
        _demand_provider()
        given = request.data.get("session_token") if isinstance(request.data, Mapping) else None
        if not given:
            return _bad_session_token("The session token is missing.")
        tried = attempt(account="", password="", address=address_of(request), now=timezone.now())
        try:
            claims = _decoded(str(given))
        except ExpiredTokenError:
            return _bad_session_token("The session token has expired: log in again.")
        except (JoseError, ValueError):
            tried.failed(now=timezone.now())
            return _bad_session_token("The session token is invalid.")
        tokens = tickets.redeem(str(claims["jti"]), now=timezone.now())
        if tokens is None:
            tried.failed(now=timezone.now())
            return _bad_session_token("The session token is invalid: it has been used already.")
        return Response(tokens)


class Logout(TokenView):
    """``oidc/logout/``."""

    def operations(self) -> dict[str, Operation]:
        """Say what each method takes and gives."""
        hint = (Parameter(name="id_token_hint"),)
        return {"get": Operation(code=302, query=hint, refusals=(503,), refusal_type="text/plain")}

    def get(self, request: Request) -> HttpResponseBase:
        """Send the browser to the identity provider, to log out there and come back to this server's front page."""
        if not settings.QANAT.through_provider:
            return _sentence(OFF)
        address = provider().address("end_session_endpoint")
        if not address:
            return _sentence("The identity provider has no page for logging out.")
        query = {
            "client_id": provider().setup.client,
            "post_logout_redirect_uri": f"{settings.QANAT.external_origin}/",
            "id_token_hint": request.query_params.get("id_token_hint", ""),
        }
        return HttpResponseRedirect(_with_query(address, {name: value for name, value in query.items() if value}))


def _exchange(*, code: str, redirect_uri: str, code_verifier: str | None, nonce: str | None) -> dict[str, Any]:
    """Return the tokens that a code is good for, of which the ID token has been checked.

    Raises:
        ProviderRefused: it is good for none.
        ProviderUnavailable: the provider does not answer.
    """
    proof = {"code_verifier": code_verifier} if code_verifier else {}
    said = provider().token(grant_type="authorization_code", code=code, redirect_uri=redirect_uri, **proof)
    try:
        id_claims(provider(), str(said.get("id_token", "")), access_token=said["access_token"], nonce=nonce)
    except TokenRefused as error:
        raise ProviderRefused(str(error)) from error
    return {**tokens_of(said), "id_token": said["id_token"], "refresh_token": said.get("refresh_token")}


def _login_of(request: Request) -> dict[str, str] | None:
    """Return the log-in that this browser has begun; None where it has not, or too long ago."""
    try:
        login: dict[str, str] = signing.loads(request.COOKIES.get(COOKIE, ""), salt=COOKIE, max_age=LOGIN_LIFETIME)
    except signing.BadSignature:
        return None
    return login


def _session_token(tokens: dict[str, Any]) -> str:
    now = timezone.now()
    ticket = tickets.issue(tokens, lifetime=TICKET_LIFETIME, now=now)
    claims = {"jti": ticket, "exp": int((now + TICKET_LIFETIME).timestamp())}
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(settings.SECRET_KEY))


def _decoded(session_token: str) -> dict[str, Any]:
    found = jwt.decode(session_token, OctKey.import_key(settings.SECRET_KEY), algorithms=["HS256"])
    jwt.JWTClaimsRegistry(exp={"essential": True}, jti={"essential": True}).validate(found.claims)
    return found.claims


def _demand_provider() -> None:
    if not settings.QANAT.through_provider:
        raise ValidationError([OFF])


def _code(given: Mapping[str, str]) -> str:
    code = given.get("code")
    if not code:
        raise ValidationError({"code": ["The code of the identity provider is missing."]})
    return code


def _callback() -> str:
    return f"{settings.QANAT.external_origin}{CALLBACK}"


def _challenge(verifier: str) -> str:
    """Return what proves later who began (RFC 7636)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _may_lead_to(address: str) -> bool:
    """Return whether a log-in may lead there: to a path of this server, or to a page of an origin that is listed."""
    if not url_has_allowed_host_and_scheme(address, allowed_hosts=None) and not _is_listed(address):
        return False
    return address.startswith("/") or _is_listed(address)


def _is_listed(address: str) -> bool:
    origins = {settings.QANAT.external_origin, *settings.QANAT.oidc_redirect_origins}
    hosts = {urlsplit(origin).netloc for origin in origins}
    parts = urlsplit(address)
    return url_has_allowed_host_and_scheme(address, hosts) and f"{parts.scheme}://{parts.netloc}" in origins


def _with_query(address: str, query: Mapping[str, str]) -> str:
    parts = urlsplit(address)
    return parts._replace(query="&".join(filter(None, [parts.query, urlencode(query)]))).geturl()


def _sentence(text: str) -> HttpResponse:
    return HttpResponse(text, status=status.HTTP_400_BAD_REQUEST, content_type=FOR_PEOPLE)


def _bad_session_token(sentence: str) -> Response:
    return Response({"detail": sentence}, status=status.HTTP_400_BAD_REQUEST)
