"""How passwords are kept."""

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher, identify_hasher
from django.contrib.auth.models import User

from tests.api.caller import OK, Caller
from tests.factories import PASSWORD, make_user


@pytest.fixture
def user(db: None) -> User:
    """Somebody whose password is kept as it used to be."""
    user = make_user(password=PASSWORD)
    user.password = PBKDF2PasswordHasher().encode(PASSWORD, "salt", iterations=1)
    user.save()
    return user


def test_a_password_from_before_is_good_and_kept_by_argon2_from_then_on(user: User) -> None:
    answers = [
        Caller(None).post("access_token/", {"username": user.username, "password": password}).code
        for password in (PASSWORD, "wrong", PASSWORD)
    ]

    user.refresh_from_db()
    assert answers == [OK, 401, OK]
    assert identify_hasher(user.password).algorithm == "argon2"
