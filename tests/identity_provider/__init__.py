"""A real identity provider (django-oauth-toolkit) in a process of its own, with people and clients for tests.

It signs access tokens as Keycloak does, which the toolkit leaves to whoever configures it. A test has the provider's
private key, too: so it can forge tokens that are wrong in one way only.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT: Final = "qanat"
SECRET: Final = "secret of the client"
ROBOT: Final = "robot"
ROBOT_SECRET: Final = "secret of the robot"
TERSE: Final = "terse"
"""A client whose access tokens say nothing but the subject."""
CALLBACK: Final = "https://qanat.example/api/oidc/callback/"
OTHER_CALLBACK: Final = "https://ui.example/after"
PASSWORD: Final = "password of everybody"
GROUPS: Final = {"anna": ["/analysts"], "boss": ["/admin", "/analysts"], "loner": []}
HOST: Final = "provider.example"
"""A name to which its certificate may be made out; it leads nowhere."""
START_SECONDS: Final = 60


@dataclass(frozen=True, kw_only=True)
class IdentityProvider:
    """One that runs."""

    origin: str
    key: RSAKey

    @property
    def issuer(self) -> str:
        """What its tokens name."""
        return f"{self.origin}/o"

    def browser(self) -> httpx.Client:
        """Return a browser that nobody has logged in with."""
        return httpx.Client(base_url=self.origin, timeout=60)

    def log_in(self, browser: httpx.Client, address: str, *, username: str = "anna") -> str:
        """Follow ``address`` to the provider's page, log in, and return where the provider then sends the browser."""
        page = browser.get(address)
        while page.is_redirect and page.headers["Location"].startswith("/"):
            page = browser.get(page.headers["Location"])
        form = {
            "username": username,
            "password": PASSWORD,
            "csrfmiddlewaretoken": browser.cookies["csrftoken"],
            "next": httpx.URL(address).raw_path.decode(),
        }
        answer = browser.post("/login/", data=form)
        assert answer.status_code == 302, answer.text
        return str(browser.get(answer.headers["Location"]).headers["Location"])

    def put_into_groups(self, username: str, groups: list[str]) -> None:
        """Change who is in which group."""
        httpx.put(f"{self.origin}/people/{username}/", json=groups).raise_for_status()

    def claims(self, **changed: Any) -> dict[str, Any]:  # noqa: ANN401 - claims
        """Return the claims of a good access token, but for what is changed (None: left out)."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": "1234",
            "aud": ["account", CLIENT],
            "azp": "somebody",
            "iat": now,
            "exp": now + 300,
            "typ": "Bearer",
            "preferred_username": "anna",
            "groups": ["/analysts"],
        }
        return {name: value for name, value in (claims | changed).items() if value is not None}

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a token as the provider would have signed it."""
        return jwt.encode({"alg": "RS256", "kid": self.key.thumbprint()}, claims, self.key)


@contextmanager
def running(folder: Path, *, certificate: Path | None = None) -> Iterator[IdentityProvider]:
    """Run a provider whose data lie in ``folder``; with a certificate (and its key) it speaks TLS."""
    key = RSAKey.generate_key(2048)
    address = folder / "address"
    environment = {
        **os.environ,
        "IDENTITY_PROVIDER_FOLDER": str(folder),
        "IDENTITY_PROVIDER_CERTIFICATE": str(certificate or ""),
        "IDENTITY_PROVIDER_KEY": key.as_pem(private=True).decode(),
        "OAUTHLIB_INSECURE_TRANSPORT": "1",  # it is on this machine
        "DJANGO_SETTINGS_MODULE": "tests.identity_provider.settings",
    }
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.identity_provider"],
            env=environment,
            cwd=Path(__file__).parents[2],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not address.is_file():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        yield IdentityProvider(origin=address.read_text(), key=key)
    finally:
        process.terminate()
        process.wait(30)
