"""Health, what this server is, and tokens."""

import base64
import json

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from qanat.server.config import celery
from tests.api.caller import BAD_REQUEST, FORBIDDEN, OK, UNAUTHORIZED, UNAVAILABLE, UNSUPPORTED, Caller
from tests.factories import PASSWORD, make_user

TOKEN_FIELDS = {"access_token", "refresh_token", "token_type", "expires_in"}
CONFIG_FIELDS = {
    "DEBUG",
    "LANGUAGE_CODE",
    "TIME_ZONE",
    "STORAGES",
    "DB_ENGINE",
    "STORAGE_TYPE",
    "MEDIA_ROOT",
    "AWS_STORAGE_BUCKET_NAME",
    "AWS_LOCATION",
    "AWS_SHARED_BUCKET",
    "AWS_QUERYSTRING_EXPIRE",
    "AWS_QUERYSTRING_AUTH",
    "API_AUTH_TYPE",
    "ROTATE_REFRESH_TOKEN",
    "ACCESS_TOKEN_LIFETIME",
    "REFRESH_TOKEN_LIFETIME",
}


@pytest.fixture
def somebody(db: None, settings: Settings) -> User:
    """A user with a password, hashed quickly."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return make_user(password=PASSWORD)


@pytest.fixture
def anybody() -> Caller:
    """A client that has not logged in."""
    return Caller(None)


def bearing(token: str) -> Caller:
    return Caller(None, headers={"Authorization": f"Bearer {token}"})


def log_in(user: User) -> dict[str, str]:
    answer = Caller(None).post("access_token/", {"username": user.username, "password": PASSWORD})
    return dict(answer.body)


def payload(token: str) -> dict[str, object]:
    middle = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4))))


@pytest.mark.django_db
def test_health_is_told_to_anybody(anybody: Caller) -> None:
    answer = anybody.get("healthcheck/")

    assert (answer.code, answer.body) == (OK, {"status": "OK"})


@pytest.mark.django_db
def test_connections_are_told_to_anybody(anybody: Caller) -> None:
    answer = anybody.get("healthcheck_connections/")

    assert (answer.code, answer.body) == (OK, {"status": "OK"})


@pytest.mark.django_db
def test_a_broker_that_is_away_is_told(anybody: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(celery.app.conf, "broker_write_url", "amqp://127.0.0.1:1//")

    answer = anybody.get("healthcheck_connections/")

    assert (answer.code, answer.body) == (UNAVAILABLE, {"status": "ERROR - celery v2 down"})


def test_server_info_has_the_fields_that_clients_know(somebody: User) -> None:
    answer = Caller(somebody).get("server_info/")

    assert answer.code == OK
    assert set(answer.body) == {"version", "config", "components"}
    assert set(answer.body["components"]) == {"ods_version", "oed_version"}
    assert set(answer.body["config"]) == CONFIG_FIELDS


def test_server_info_names_the_kind_of_login_and_the_lifetimes_of_tokens(somebody: User) -> None:
    config = Caller(somebody).get("server_info/").body["config"]

    assert config["API_AUTH_TYPE"] == "simple_jwt"
    assert config["ROTATE_REFRESH_TOKEN"] is True
    assert (config["ACCESS_TOKEN_LIFETIME"], config["REFRESH_TOKEN_LIFETIME"]) == ("3600.0", "172800.0")


@pytest.mark.django_db
def test_server_info_holds_no_secret(somebody: User, settings: Settings) -> None:
    answer = Caller(somebody).get("server_info/")

    assert settings.SECRET_KEY.encode() not in answer.content
    assert settings.QANAT.worker_key.encode() not in answer.content


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["server_info/", "v1/portfolios/", "v2/portfolios/", "v1/models/", "v2/analyses/1/"])
def test_a_client_without_credentials_is_refused_without_a_challenge(anybody: Caller, path: str) -> None:
    answer = anybody.get(path)

    assert (answer.code, answer.body) == (FORBIDDEN, {"detail": "Authentication credentials were not provided."})
    assert "WWW-Authenticate" not in answer.headers


@pytest.mark.django_db
def test_an_empty_authorization_header_is_none(anybody: Caller) -> None:
    caller = Caller(None, headers={"Authorization": ""})

    answer = caller.get("v2/portfolios/")

    assert (answer.code, answer.body) == (FORBIDDEN, {"detail": "Authentication credentials were not provided."})


def test_logging_in_gives_tokens(somebody: User, anybody: Caller) -> None:
    answer = anybody.post("access_token/", {"username": somebody.username, "password": PASSWORD})

    assert answer.code == OK
    assert set(answer.body) == TOKEN_FIELDS
    assert (answer.body["token_type"], answer.body["expires_in"]) == ("Bearer", 3600.0)


def test_logging_in_by_form_gives_tokens(somebody: User, anybody: Caller) -> None:
    form = f"username={somebody.username}&password={PASSWORD.replace(' ', '+')}"

    answer = anybody.send("post", "access_token/", form, content_type="application/x-www-form-urlencoded")

    assert answer.code == OK
    assert set(answer.body) == TOKEN_FIELDS


def test_tokens_say_whose_and_of_which_kind_they_are(somebody: User) -> None:
    tokens = log_in(somebody)

    access, refresh = payload(tokens["access_token"]), payload(tokens["refresh_token"])
    assert set(access) == set(refresh) == {"token_type", "exp", "iat", "jti", "user_id"}
    assert (access["token_type"], refresh["token_type"]) == ("access", "refresh")
    assert access["user_id"] == refresh["user_id"] == str(somebody.pk)


def test_an_access_token_opens_the_api(somebody: User) -> None:
    tokens = log_in(somebody)

    answer = bearing(tokens["access_token"]).get("v2/portfolios/")

    assert (answer.code, answer.body) == (OK, [])


def test_user_name_and_password_open_the_api(somebody: User) -> None:
    credentials = base64.b64encode(f"{somebody.username}:{PASSWORD}".encode()).decode()

    answer = Caller(None, headers={"Authorization": f"Basic {credentials}"}).get("v2/portfolios/")

    assert (answer.code, answer.body) == (OK, [])


@pytest.mark.parametrize("header", ["Bearer nonsense", f"Basic {base64.b64encode(b'nobody:wrong').decode()}"])
def test_wrong_credentials_are_refused_without_a_challenge(somebody: User, header: str) -> None:
    answer = Caller(None, headers={"Authorization": header}).get("v2/portfolios/")

    assert answer.code == FORBIDDEN
    assert "WWW-Authenticate" not in answer.headers


def test_a_bad_token_is_named_as_such(somebody: User) -> None:
    answer = bearing("nonsense").get("v2/portfolios/")

    assert (answer.code, answer.body["code"]) == (FORBIDDEN, "token_not_valid")
    assert {"token_class", "token_type", "message"} == set(answer.body["messages"][0])


def test_a_refresh_token_does_not_open_the_api(somebody: User) -> None:
    tokens = log_in(somebody)

    answer = bearing(tokens["refresh_token"]).get("v2/portfolios/")

    assert (answer.code, answer.body["code"]) == (FORBIDDEN, "token_not_valid")


def test_a_wrong_password_is_refused_with_a_challenge(somebody: User, anybody: Caller) -> None:
    answer = anybody.post("access_token/", {"username": somebody.username, "password": "wrong"})

    assert (answer.code, set(answer.body)) == (UNAUTHORIZED, {"detail"})
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'


def test_an_unknown_user_is_refused_as_one_with_a_wrong_password(somebody: User, anybody: Caller) -> None:
    unknown = anybody.post("access_token/", {"username": "nobody", "password": PASSWORD})

    wrong = anybody.post("access_token/", {"username": somebody.username, "password": "wrong"})
    assert (unknown.code, unknown.body) == (wrong.code, wrong.body)


def test_a_user_who_was_disabled_is_refused(somebody: User, anybody: Caller) -> None:
    somebody.is_active = False
    somebody.save()

    answer = anybody.post("access_token/", {"username": somebody.username, "password": PASSWORD})

    assert answer.code == UNAUTHORIZED


def test_an_access_token_of_a_user_who_was_disabled_opens_nothing(somebody: User) -> None:
    tokens = log_in(somebody)
    somebody.is_active = False
    somebody.save()

    answer = bearing(tokens["access_token"]).get("v2/portfolios/")

    assert answer.code == FORBIDDEN


@pytest.mark.django_db
@pytest.mark.parametrize("given", [{}, {"username": "anna"}, {"password": "x"}, {"client_id": "x"}, []])
def test_logging_in_without_both_fields_is_a_bad_request(anybody: Caller, given: object) -> None:
    answer = anybody.post("access_token/", given)

    assert (answer.code, answer.body) == (BAD_REQUEST, ["Send username and password."])


@pytest.mark.django_db
def test_client_credentials_are_refused_with_the_words_that_the_stock_client_looks_for(anybody: Caller) -> None:
    answer = anybody.post("access_token/", {"client_id": "id", "client_secret": "secret"})

    assert answer.code == BAD_REQUEST
    assert "flow is disabled" in answer.body[0]


@pytest.mark.django_db
def test_logging_in_with_broken_json_is_a_bad_request(anybody: Caller) -> None:
    answer = anybody.send("post", "access_token/", "{username:")

    assert answer.code == BAD_REQUEST
    assert answer.body["detail"].startswith("JSON parse error")


def test_a_refresh_token_gives_new_tokens(somebody: User) -> None:
    before = log_in(somebody)

    answer = bearing(before["refresh_token"]).post("refresh_token/")

    assert (answer.code, set(answer.body)) == (OK, TOKEN_FIELDS)
    assert answer.body["refresh_token"] != before["refresh_token"]
    assert bearing(answer.body["access_token"]).get("v2/portfolios/").code == OK


def test_a_refresh_token_is_good_once(somebody: User) -> None:
    first = log_in(somebody)["refresh_token"]
    second = bearing(first).post("refresh_token/").body["refresh_token"]

    again = bearing(first).post("refresh_token/")

    assert (again.code, again.body["code"]) == (UNAUTHORIZED, "token_not_valid")
    assert bearing(second).post("refresh_token/").code == OK


@pytest.mark.django_db
def test_a_refresh_without_a_token_is_a_bad_request(anybody: Caller) -> None:
    answer = anybody.post("refresh_token/")

    assert (answer.code, set(answer.body)) == (BAD_REQUEST, {"Detail"})


@pytest.mark.django_db
def test_a_refresh_with_nonsense_is_refused() -> None:
    answer = bearing("nonsense").post("refresh_token/")

    assert (answer.code, set(answer.body)) == (UNAUTHORIZED, {"detail", "code"})
    assert answer.body["code"] == "token_not_valid"


def test_an_access_token_refreshes_nothing(somebody: User) -> None:
    tokens = log_in(somebody)

    answer = bearing(tokens["access_token"]).post("refresh_token/")

    assert (answer.code, answer.body["code"]) == (UNAUTHORIZED, "token_not_valid")


def test_a_refresh_takes_no_json_body(somebody: User) -> None:
    tokens = log_in(somebody)

    answer = bearing(tokens["refresh_token"]).post("refresh_token/", {"refresh": "token"})

    assert answer.code == UNSUPPORTED
