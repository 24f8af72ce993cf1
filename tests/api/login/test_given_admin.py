"""The administrator whom the settings name is there when the API starts, with the password that they say."""

import pytest
from django.contrib.auth.models import User
from pydantic import SecretStr
from pytest_django import Settings

from qanat.server.accounts.operations import ensure_admin
from qanat.server.roles import preparation
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def name_admin(settings: Settings, **more: object) -> None:
    given = {"admin_user": "ann", "admin_password": SecretStr("correct horse"), **more}
    settings.QANAT = settings.QANAT.model_copy(update=given)


def test_an_administrator_is_made_once_and_nobody_else_is(settings: Settings) -> None:
    name_admin(settings)

    made = preparation.prepare(migrate=False)
    again = preparation.prepare(migrate=False)

    assert made == again == preparation.Admin(admin="ann", password="correct horse", generated=False)
    admin = User.objects.get()
    assert (admin.username, admin.is_superuser, admin.is_staff) == ("ann", True, True)
    assert admin.check_password("correct horse")


def test_who_is_there_already_gets_the_rights_and_the_new_password() -> None:
    user = make_user()

    ensure_admin(name=user.username, password="battery staple")

    user.refresh_from_db()
    assert user.is_superuser
    assert user.check_password("battery staple")


def test_a_password_that_is_the_same_ends_no_session() -> None:
    ensure_admin(name="ann", password="correct horse")
    before = User.objects.get().password

    ensure_admin(name="ann", password="correct horse")

    assert User.objects.get().password == before


def test_where_users_log_in_through_a_provider_nobody_is_made(settings: Settings) -> None:
    name_admin(settings, api_auth_type="keycloak")

    assert preparation.given_admin() is None
    assert not User.objects.exists()


def test_without_a_name_the_first_start_generates_a_password() -> None:
    first, second = preparation.prepare(migrate=False), preparation.prepare(migrate=False)

    assert first.generated
    assert first.password is not None
    assert User.objects.get().check_password(first.password)
    assert (second.password, second.generated) == (None, False)
    assert first.password not in repr(first)
