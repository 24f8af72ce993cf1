"""The configured storage."""

from functools import cache

from django.conf import settings

from qanat.storage.local import LocalStorage
from qanat.storage.port import Storage


@cache
def storage() -> Storage:
    """Return the storage of this installation."""
    return LocalStorage(settings.QANAT.media_root)
