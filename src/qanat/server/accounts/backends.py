"""How passwords are checked: by Django, after the throttle; so it holds for tokens, HTTP Basic and all pages alike."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils import timezone

from qanat.server.accounts.throttle import address_of, attempt


class Passwords(ModelBackend):
    """Django's users with their passwords."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - of other backends
    ) -> User | None:
        """Return whose name and password these are, or None.

        Raises:
            TooManyAttempts: they are not even looked at.
        """
        if request is None or username is None or password is None:
            return super().authenticate(request, username=username, password=password, **kwargs)
        tried = attempt(account=username, password=password, address=address_of(request), now=timezone.now())
        user = super().authenticate(request, username=username, password=password, **kwargs)
        if user is None:
            tried.failed(now=timezone.now())
        else:
            tried.succeeded(now=timezone.now())
        return user
