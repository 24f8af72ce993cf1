"""Whether this process can serve: the database answers, and has the tables that this code was written for."""

import logging

from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

logger = logging.getLogger(__name__)

AWAY = "The database does not answer."
EMPTY = "The database has no tables yet: run `qanat server migrate`."


class Readiness:
    """Looks in one query; that the tables are there is known once it was seen."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._migrated = False

    def lacking(self) -> str:
        """Return what is wrong, in a sentence; nothing where all is well."""
        try:
            if self._migrated:
                _ask()
                return ""
            applied = set(MigrationRecorder.Migration.objects.values_list("app", "name"))
        except DatabaseError as error:
            logger.warning("Not ready: %s", error)
            return EMPTY if _answers() else AWAY
        missing = sorted(MigrationLoader(None).graph.nodes.keys() - applied)
        self._migrated = not missing
        if self._migrated:
            return ""
        return (
            f"{len(missing)} migrations have not been applied to the database, the first is {'.'.join(missing[0])}: "
            "run `qanat server migrate`."
        )


def _ask() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _answers() -> bool:
    try:
        _ask()
    except DatabaseError:
        return False
    return True
