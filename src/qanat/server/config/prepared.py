"""Queries that are asked with each request: their SQL is written once.

Django's ORM takes several times as long to write a small query as the database to answer it. What is written here is
still the ORM's, and so the same on all databases.
"""

from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet

HOLE: Final = -1_234_567_891
"""Stands for the id while the SQL is written; no row has it."""
Row = tuple[Any, ...]
AnyModel = TypeVar("AnyModel", bound=Model)


FEW: Final = 500


def among(column: str, ids: Collection[int]) -> dict[str, Any]:
    """Return the filter that keeps what belongs to some ids, and perhaps to others between them.

    Of a long list it takes the database and its driver longer to write and read the numbers than the rows. So where
    nearly all of a range are asked for, all of it is; whoever reads the rows leaves out what they did not ask for.
    """
    if len(ids) > FEW and max(ids) - min(ids) < 2 * len(ids):
        return {f"{column}__gte": min(ids), f"{column}__lte": max(ids)}
    return {f"{column}__in": ids}


class Prepared:
    """Reads plain columns, whole numbers and text, of what belongs to some ids."""

    def __init__(self, query: Callable[[Collection[int]], QuerySet[Any, Any]]) -> None:
        """Ask ``query(ids)``, a ``values_list``."""
        self._query = query

    def __call__(self, ids: Collection[int]) -> list[Row]:
        """Return the rows; those of a single id by the SQL that was written before."""
        if len(ids) != 1:
            return list(self._query(ids))
        sql, parameters = self._written
        [found] = ids
        with connection.cursor() as cursor:
            cursor.execute(sql, [found if parameter == HOLE else parameter for parameter in parameters])
            rows: list[Row] = cursor.fetchall()
            return rows

    @cached_property
    def _written(self) -> tuple[str, tuple[Any, ...]]:
        return self._query([HOLE]).query.sql_with_params()


class PreparedRows(Generic[AnyModel]):
    """Reads whole rows of a table, as the ORM's objects, of what belongs to one id."""

    def __init__(self, query: Callable[[int], QuerySet[AnyModel, AnyModel]]) -> None:
        """Ask ``query(id)``."""
        self._query = query

    def __call__(self, of: int) -> list[AnyModel]:
        """Return the rows."""
        model, sql, parameters = self._written
        filled = [of if parameter == HOLE else parameter for parameter in parameters]
        return list(model._default_manager.raw(sql, filled))  # noqa: SLF001 - Django's documented name

    @cached_property
    def _written(self) -> tuple[type[AnyModel], str, tuple[Any, ...]]:
        query = self._query(HOLE)
        return query.model, *query.query.sql_with_params()
