"""Cookies that log somebody in go by TLS only, but where the browser is on this machine, as with ``qanat up``."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from tests.factories import PASSWORD, make_user

LOGIN = "/api/auth/login/"


@pytest.fixture
def somebody(db: None, settings: Settings) -> User:
    """A user with a password, hashed quickly."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return make_user(password=PASSWORD, staff=True, superuser=True)


def logged_in(user: User, host: str, *, tls: bool, page: str = LOGIN) -> Client:
    browser = Client(headers={"Host": host})
    answer = browser.post(page, {"username": user.username, "password": PASSWORD}, secure=tls)
    assert answer.status_code == 302
    return browser


@pytest.mark.parametrize(
    ("origin", "by_tls_only"),
    [
        ("https://qanat.example", {"sessionid", "csrftoken"}),
        ("http://qanat.example", {"sessionid", "csrftoken"}),
        ("https://localhost:8000", {"sessionid", "csrftoken"}),
        ("http://localhost:8000", set()),
        ("http://127.0.0.1:8000", set()),
        ("http://[::1]:8000", set()),
    ],
)
def test_cookies_go_in_the_clear_within_this_machine_only(somebody: User, origin: str, by_tls_only: set[str]) -> None:
    scheme, _, host = origin.partition("://")

    browser = logged_in(somebody, host, tls=scheme == "https")

    assert {name for name in ("sessionid", "csrftoken") if browser.cookies[name]["secure"]} == by_tls_only
    assert browser.cookies["sessionid"]["httponly"]


def test_a_proxy_that_ends_tls_says_so(somebody: User) -> None:
    browser = Client(headers={"Host": "qanat.example", "X-Forwarded-Proto": "https"})

    answer = browser.post(LOGIN, {"username": somebody.username, "password": PASSWORD})

    assert bool(answer.cookies["sessionid"]["secure"])
    assert answer["Strict-Transport-Security"] == "max-age=31536000"


def test_browsers_are_told_to_stay_with_tls_where_it_is(somebody: User) -> None:
    by_tls, in_the_clear = (Client().get("/api/healthcheck/", secure=tls) for tls in (True, False))

    assert by_tls["Strict-Transport-Security"] == "max-age=31536000"
    assert "Strict-Transport-Security" not in in_the_clear


@pytest.mark.parametrize("page", [LOGIN, "/api/admin/login/"])
def test_on_this_machine_plain_http_logs_in(somebody: User, page: str) -> None:
    browser = logged_in(somebody, "localhost:8000", tls=False, page=page)

    assert browser.get("/api/admin/").status_code == 200
    assert browser.get("/api/v2/portfolios/").status_code == 200
