"""Django's handle on the admin site."""

from django.apps import AppConfig


class AdminConfig(AppConfig):
    """What the site shows is in ``admin``; it has no tables of its own."""

    name = "qanat.server.admin"
    label = "admin_site"
