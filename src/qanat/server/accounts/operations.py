"""Writes of accounts."""

import secrets
from datetime import datetime
from typing import Final

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction

from qanat.server.accounts import throttle, tickets

FIRST_ADMIN: Final = "admin"


def ensure_first_admin() -> str | None:
    """Make the first administrator where there is none; return the generated password, or None where one exists."""
    with transaction.atomic():
        if User.objects.filter(is_superuser=True).exists():
            return None
        password = secrets.token_urlsafe(12)
        User.objects.create_superuser(FIRST_ADMIN, password=password)
    return password


def ensure_admin(*, name: str, password: str) -> None:
    """Make an administrator of this name with this password, or give an existing user both."""
    with transaction.atomic():
        admin, _ = User.objects.select_for_update().get_or_create(username=name)
        if admin.is_superuser and admin.is_staff and admin.is_active and admin.check_password(password):
            return
        admin.is_superuser = admin.is_staff = admin.is_active = True
        admin.set_password(password)
        admin.save()


def reset_admin_password() -> str:
    """Give the first administrator a new password and return it."""
    password = secrets.token_urlsafe(12)
    with transaction.atomic():
        admin, _ = User.objects.get_or_create(username=FIRST_ADMIN, defaults={"is_staff": True, "is_superuser": True})
        admin.set_password(password)
        admin.save()
    return password


def ensure_somebody() -> User:
    """Return who everybody is where nobody logs in: the first administrator, made without a password if need be."""
    found = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if found is not None:
        return found
    defaults = {"is_staff": True, "is_superuser": True, "password": make_password(None)}
    return User.objects.get_or_create(username=FIRST_ADMIN, defaults=defaults)[0]


def first_superuser() -> User:
    """Return the user to whom belongs what no user made, such as models that register themselves."""
    return User.objects.filter(is_superuser=True).earliest("pk")


def forget_expired_logins(*, now: datetime) -> None:
    """Remove sessions, refresh tokens (with these their entries on the blacklist), tickets and failures to log in."""
    tickets.forget(now=now)
    throttle.forget(now=now)
    call_command("clearsessions")
    call_command("flushexpiredtokens")
