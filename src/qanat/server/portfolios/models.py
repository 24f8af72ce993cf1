"""The table of the portfolios."""

from typing import Any

from django.contrib.auth.models import Group
from django.db import models

from qanat.server.files.owned import Owned, file_field


class Portfolio(Owned):
    """What somebody insures: locations, accounts and reinsurance in OED files."""

    name = models.CharField(max_length=255)
    groups: "models.ManyToManyField[Any, Any]" = models.ManyToManyField(Group, related_name="+")
    location_file = file_field()
    accounts_file = file_field()
    reinsurance_info_file = file_field()
    reinsurance_scope_file = file_field()
    currency_conversion_json = file_field()
    reporting_currency = models.CharField(max_length=15, blank=True)

    def __str__(self) -> str:
        """Name the portfolio."""
        return self.name


OED_FILES = ("location_file", "accounts_file", "reinsurance_info_file", "reinsurance_scope_file")
FILES = (*OED_FILES, "currency_conversion_json")
