"""Whoever guesses passwords has to wait, longer each time; whoever does not, does not."""

import base64
import datetime as dt
from itertools import count, pairwise

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from qanat.domain.throttle import ACCOUNT, ADDRESS
from qanat.server.accounts import throttle
from qanat.server.accounts.models import LoginFailures
from qanat.server.accounts.throttle import TooManyAttempts, address_of, attempt
from qanat.server.runs import clock
from tests.api.caller import OK, UNAUTHORIZED, Answer, Caller
from tests.factories import PASSWORD, make_user
from tests.identity_provider import ROBOT, ROBOT_SECRET, IdentityProvider

TOO_MANY = 429
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick_hashes(settings: Settings) -> None:
    """Hash passwords quickly."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def somebody(db: None) -> User:
    """A user with a password."""
    return make_user(password=PASSWORD)


def log_in(username: str, password: str) -> Answer:
    return Caller(None).post("access_token/", {"username": username, "password": password})


def guess(username: str, times: int = ACCOUNT.free + 1) -> list[int]:
    """Guess passwords, each another one."""
    return [log_in(username, f"guess {number}").code for number in range(times)]


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        """Begin now."""
        self.now = clock.now()
        self._passwords = count()

    def passes(self, seconds: float) -> None:
        """Let it pass."""
        self.now += dt.timedelta(seconds=seconds)

    def fail(self, account: str = "anna", password: str = "", address: str = "192.0.2.1") -> float:
        """Fail to log in, or return how many seconds there are to wait first."""
        try:
            tried = attempt(
                account=account,
                password=password or f"guess {next(self._passwords)}",
                address=address,
                now=self.now,
            )
        except TooManyAttempts as refusal:
            return refusal.retry_after
        tried.failed(now=self.now)
        return 0


@pytest.fixture
def time() -> Clock:
    """The time."""
    return Clock()


def test_guesses_are_looked_at_until_there_were_too_many(somebody: User) -> None:
    assert guess(somebody.username) == [UNAUTHORIZED] * (ACCOUNT.free + 1)

    answer = log_in(somebody.username, "one more")

    assert answer.code == TOO_MANY
    assert int(answer.headers["Retry-After"]) in {1, 2}
    assert "Too many attempts to log in have failed" in answer.body["detail"]


def test_then_even_the_right_password_has_to_wait(somebody: User) -> None:
    guess(somebody.username)

    assert log_in(somebody.username, PASSWORD).code == TOO_MANY


def test_a_name_that_nobody_has_is_treated_like_one_that_somebody_has(db: None) -> None:
    assert guess("nobody") == [UNAUTHORIZED] * (ACCOUNT.free + 1)

    assert log_in("nobody", "p").code == TOO_MANY


def test_capitals_make_no_other_account(somebody: User) -> None:
    guess(somebody.username)

    assert log_in(somebody.username.upper(), "p").code == TOO_MANY


def test_others_at_the_same_address_go_on(somebody: User) -> None:
    guess(make_user(password=PASSWORD).username)

    assert log_in(somebody.username, PASSWORD).code == OK


@pytest.mark.parametrize("path", ["/api/auth/login/", "/api/admin/login/"])
def test_pages_refuse_whoever_guesses_over_the_api(somebody: User, path: str) -> None:
    guess(somebody.username)

    answer = Client().post(path, {"username": somebody.username, "password": PASSWORD})

    assert (answer.status_code, "Retry-After" in answer.headers) == (TOO_MANY, True)
    assert "Too many attempts" in answer.content.decode()


def test_http_basic_is_refused_likewise(somebody: User) -> None:
    guess(somebody.username)
    credentials = base64.b64encode(f"{somebody.username}:{PASSWORD}".encode()).decode()

    answer = Caller(None, headers={"Authorization": f"Basic {credentials}"}).get("v2/portfolios/")

    assert (answer.code, "Retry-After" in answer.headers) == (TOO_MANY, True)


def test_guesses_on_a_page_count_for_the_api_too(somebody: User) -> None:
    for number in range(ACCOUNT.free + 1):
        Client().post("/api/auth/login/", {"username": somebody.username, "password": f"guess {number}"})

    assert log_in(somebody.username, PASSWORD).code == TOO_MANY


def test_the_stock_client_tries_its_defaults_as_often_as_it_likes(somebody: User) -> None:
    make_user(password=PASSWORD)
    admin = User.objects.create_superuser("admin", password=PASSWORD)

    for _ in range(3 * ADDRESS.free):
        assert log_in("admin", "password").code == UNAUTHORIZED  # its first default
        assert log_in(somebody.username, PASSWORD).code == OK

    assert log_in(admin.username, PASSWORD).code == OK


def test_a_token_that_is_good_is_never_throttled(somebody: User) -> None:
    token = log_in(somebody.username, PASSWORD).body["access_token"]
    guess(somebody.username)

    assert Caller(None, headers={"Authorization": f"Bearer {token}"}).get("v2/portfolios/").code == OK


def test_an_attempt_costs_the_same_however_many_there_were(somebody: User) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            log_in(somebody.username, f"guess {clock.now()}")
        return len(queries)

    cost()

    costs = [cost() for _ in range(5)]

    assert len(set(costs)) == 1


def test_waits_grow_and_end(time: Clock) -> None:
    for _ in range(ACCOUNT.free + 1):
        assert time.fail() == 0

    waits = []
    for _ in range(6):
        wait = time.fail()
        waits.append(round(wait))
        time.passes(wait + 0.001)
        assert time.fail() == 0

    assert waits[0] == 2
    assert all(later > earlier for earlier, later in pairwise(waits) if earlier < 50)
    assert max(waits) <= ACCOUNT.longest_seconds


def test_failures_are_forgotten(time: Clock) -> None:
    for _ in range(ACCOUNT.free + 1):
        time.fail()

    time.passes((ACCOUNT.free + 1) * ACCOUNT.forget_seconds)

    assert [time.fail() for _ in range(ACCOUNT.free)] == [0] * ACCOUNT.free


def test_guessing_at_many_accounts_slows_the_address_down_but_no_other(time: Clock) -> None:
    for number in range(ADDRESS.free + 1):
        assert time.fail(account=f"user {number}") == 0

    assert time.fail(account="another") > 0
    assert time.fail(account="another", address="192.0.2.2") == 0


def test_addresses_of_one_site_count_as_one(time: Clock) -> None:
    for number in range(ADDRESS.free + 1):
        time.fail(account=f"user {number}", address=f"2001:db8::{number:x}")

    assert time.fail(account="another", address="2001:db8::ffff:1") > 0
    assert time.fail(account="another", address="2001:db8:0:1::1") == 0
    assert time.fail(account="another", address="::ffff:192.0.2.9") == 0


def test_a_success_forgets_the_failures_of_the_account_and_not_of_the_address(time: Clock) -> None:
    for _ in range(ACCOUNT.free):
        time.fail()

    attempt(account="anna", password="right", address="192.0.2.1", now=time.now).succeeded(now=time.now)

    assert [time.fail() for _ in range(ACCOUNT.free + 1)] == [0] * (ACCOUNT.free + 1)
    assert max(LoginFailures.objects.values_list("failures", flat=True)) == 2 * ACCOUNT.free + 1


def test_of_many_guesses_at_once_one_is_looked_at(time: Clock) -> None:
    for _ in range(ACCOUNT.free + 1):
        time.fail()
    time.passes(10)
    seen = list(LoginFailures.objects.filter(failures__gt=ACCOUNT.free))  # what all of them read before any writes

    throttle._take_turn(seen[0], ACCOUNT, now=time.now)
    again = LoginFailures(pk=seen[0].pk, failures=seen[0].failures, last=seen[0].last, until=time.now)

    with pytest.raises(TooManyAttempts):
        throttle._take_turn(again, ACCOUNT, now=time.now)


def test_neither_names_nor_passwords_are_kept(time: Clock) -> None:
    time.fail(account="anna", password="hunter2")

    kept = str(list(LoginFailures.objects.values()))
    assert "anna" not in kept
    assert "hunter2" not in kept
    assert "192.0.2.1" not in kept


def test_housekeeping_forgets_what_is_forgotten(time: Clock) -> None:
    time.fail()

    throttle.forget(now=time.now + dt.timedelta(minutes=59))
    kept = LoginFailures.objects.count()
    throttle.forget(now=time.now + dt.timedelta(minutes=61))

    assert (kept, LoginFailures.objects.count()) == (2, 0)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "198.51.100.7", "192.0.2.1"),
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        (2, "6.6.6.6, 203.0.113.9, 198.51.100.7", "203.0.113.9"),
        (2, "198.51.100.7", "198.51.100.7"),
        (1, "", "192.0.2.1"),
    ],
)
def test_whence_a_request_comes_is_believed_of_our_own_proxies_only(
    settings: Settings, proxies: int, forwarded: str, address: str
) -> None:
    settings.QANAT = settings.QANAT.model_copy(update={"proxies": proxies})
    request = RequestFactory().get("/", headers={"X-Forwarded-For": forwarded}, REMOTE_ADDR="192.0.2.1")

    assert address_of(request) == address


@pytest.mark.xdist_group("identity provider")
def test_secrets_of_services_are_guessed_no_faster(provider: IdentityProvider) -> None:
    def try_secret(secret: str) -> int:
        return Caller(None).post("access_token/", {"client_id": ROBOT, "client_secret": secret}).code

    guesses = {try_secret(f"guess {number}") for number in range(ACCOUNT.free + 1)}

    assert (guesses, try_secret(ROBOT_SECRET)) == ({UNAUTHORIZED}, TOO_MANY)


def test_unmade_tickets_are_guessed_no_faster(provider: IdentityProvider) -> None:
    codes = [Caller(None).post("oidc/session_token/", {"session_token": "a.b.c"}).code for _ in range(ADDRESS.free + 2)]

    assert codes[-1] == TOO_MANY
