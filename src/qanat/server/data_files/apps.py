"""Django's handle on the data files."""

from django.apps import AppConfig


class DataFilesConfig(AppConfig):
    """The tables of the data files."""

    name = "qanat.server.data_files"
    label = "data_files"
    default_auto_field = "django.db.models.BigAutoField"
