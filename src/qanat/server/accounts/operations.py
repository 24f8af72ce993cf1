"""Writes of accounts."""

import secrets
from typing import Final

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction

FIRST_ADMIN: Final = "admin"


def ensure_first_admin() -> str | None:
    """Make the first administrator where there is none; return the generated password, or None where one exists."""
    with transaction.atomic():
        if User.objects.filter(is_superuser=True).exists():
            return None
        password = secrets.token_urlsafe(12)
        User.objects.create_superuser(FIRST_ADMIN, password=password)
    return password


def reset_admin_password() -> str:
    """Give the first administrator a new password and return it."""
    password = secrets.token_urlsafe(12)
    with transaction.atomic():
        admin, _ = User.objects.get_or_create(username=FIRST_ADMIN, defaults={"is_staff": True, "is_superuser": True})
        admin.set_password(password)
        admin.save()
    return password


def first_superuser() -> User:
    """Return the user to whom belongs what no user made, such as models that register themselves."""
    return User.objects.filter(is_superuser=True).earliest("pk")


def forget_expired_logins() -> None:
    """Remove sessions and refresh tokens that have expired, and with these their entries on the blacklist."""
    call_command("clearsessions")
    call_command("flushexpiredtokens")
