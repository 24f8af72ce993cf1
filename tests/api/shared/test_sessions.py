"""Logging in with a browser: a session opens the API, and changes need the token that only our own pages have."""

import datetime as dt
import re

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django import Settings

from qanat.server.accounts.operations import forget_expired_logins
from qanat.server.runs import clock
from tests.factories import PASSWORD, make_user

LOGIN = "/api/auth/login/"


@pytest.fixture
def somebody(db: None, settings: Settings) -> User:
    """A user with a password, hashed quickly."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return make_user(password=PASSWORD)


@pytest.fixture
def browser(somebody: User) -> Client:
    """A browser on the page for logging in; it sends what a browser sends, and is checked."""
    browser = Client(enforce_csrf_checks=True)
    page = browser.get(LOGIN).content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token is not None
    browser.defaults["HTTP_X_CSRFTOKEN"] = token[1]
    return browser


def log_in(browser: Client, user: User, password: str = PASSWORD) -> int:
    return browser.post(LOGIN, {"username": user.username, "password": password}).status_code


def test_a_session_opens_the_api(browser: Client, somebody: User, version: str) -> None:
    assert browser.get(f"/api/{version}/portfolios/").status_code == 403

    assert log_in(browser, somebody) == 302

    assert browser.get(f"/api/{version}/portfolios/").status_code == 200


def test_a_wrong_password_opens_nothing(browser: Client, somebody: User, version: str) -> None:
    assert log_in(browser, somebody, "wrong") == 200

    assert browser.get(f"/api/{version}/portfolios/").status_code == 403


def test_a_session_changes_things_with_the_token_of_our_pages_only(
    browser: Client, somebody: User, version: str
) -> None:
    log_in(browser, somebody)
    post = {"path": f"/api/{version}/portfolios/", "data": {"name": "P"}, "content_type": "application/json"}

    with_token = browser.post(**post, headers={"X-CSRFToken": browser.cookies["csrftoken"].value})  # type: ignore[arg-type]
    without = browser.post(**post, headers={"X-CSRFToken": ""})  # type: ignore[arg-type]

    assert (with_token.status_code, without.status_code) == (201, 403)
    assert "CSRF" in without.json()["detail"]


def test_logging_out_ends_the_session(browser: Client, somebody: User, version: str) -> None:
    log_in(browser, somebody)

    browser.post("/api/auth/logout/", headers={"X-CSRFToken": browser.cookies["csrftoken"].value})

    assert browser.get(f"/api/{version}/portfolios/").status_code == 403


@pytest.mark.parametrize("page", ["admin", "auth/login", "auth/logout"])
def test_the_pages_are_found_without_the_prefix_too(db: None, page: str) -> None:
    answer = Client().get(f"/{page}/")

    assert (answer.status_code, answer["Location"]) == (302, f"/api/{page}/")


def test_a_login_leads_to_no_foreign_site(browser: Client, somebody: User) -> None:
    credentials = {"username": somebody.username, "password": PASSWORD}

    answer = browser.post(f"{LOGIN}?next=https://evil.example/", credentials)

    assert answer["Location"] == "/api/"


def test_housekeeping_forgets_sessions_that_have_expired(browser: Client, somebody: User, settings: Settings) -> None:
    log_in(browser, somebody)
    Session.objects.update(expire_date=clock.now() - dt.timedelta(seconds=1))

    forget_expired_logins(now=clock.now())

    assert not Session.objects.exists()
