"""Django's handle on the accounts."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """No tables of its own: users and groups are Django's."""

    name = "qanat.server.accounts"
    label = "accounts"
