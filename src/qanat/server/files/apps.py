"""Django's handle on the files."""

from django.apps import AppConfig


class FilesConfig(AppConfig):
    """The table of stored files."""

    name = "qanat.server.files"
    label = "files"
    default_auto_field = "django.db.models.BigAutoField"
