"""Statements that each request asks: their SQL is written once, and PostgreSQL reads it once a connection.

Django's ORM takes several times as long to write a small query as the database to answer it, and PostgreSQL longer to
read and plan it than to execute it. Queries are still written by the ORM, and so the same on all databases.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import Model, QuerySet
from django.db.models.query import get_related_populators

HOLES: Final = tuple(1_234_567_891 + number for number in range(2))
"""Stand for the ids while the SQL is written; no query has such a number of its own."""
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
        return self._written.rows(ids) if len(ids) == 1 else list(self._query(ids))

    @cached_property
    def _written(self) -> "_Written":
        return _Written(*self._query(HOLES[:1]).query.sql_with_params())


class PreparedRows(Generic[AnyModel]):
    """Reads rows of a table, as the ORM's objects, of what belongs to one id, or to several that differ in kind."""

    def __init__(self, query: Callable[..., QuerySet[AnyModel, AnyModel]], *, holes: int = 1) -> None:
        """Ask ``query(*ids)``, of so many ids; it may have ``only`` and ``select_related``."""
        self._query = query
        self._holes = HOLES[:holes]

    def __call__(self, *ids: int) -> list[AnyModel]:
        """Return the rows."""
        written, built = self._written
        return built(written.rows(ids))

    @cached_property
    def _written(self) -> "tuple[_Written, Callable[[Iterable[Row]], list[AnyModel]]]":
        queryset = self._query(*self._holes)
        compiler = queryset.query.get_compiler(connection=connection)
        written = _Written(*compiler.as_sql())
        # What follows is what the ORM does anew for each query that it asks.
        select, info = compiler.select, compiler.klass_info
        converters = compiler.get_converters([column for column, *_ in select])
        own = slice(info["select_fields"][0], info["select_fields"][-1] + 1)
        names = [column.target.attname for column, *_ in select[own]]
        related = get_related_populators(info, select, connection.alias)  # type: ignore[call-arg] # the stubs' next Django

        def built(rows: Iterable[Row]) -> list[AnyModel]:
            found = []
            for row in compiler.apply_converters(rows, converters):
                one = queryset.model.from_db(connection.alias, names, row[own])
                for populator in related:
                    populator.populate(row, one)
                found.append(one)
            return found

        return written, built


class PreparedUpdate:
    """Changes a row of a table where it still is as it was loaded."""

    def __init__(self, model: type[Model], *, where: Sequence[str]) -> None:
        """Change rows of ``model`` by the columns ``where``."""
        self._model = model
        self._where = tuple(where)
        self._written: dict[tuple[str, ...], str] = {}

    def __call__(self, where: Sequence[object], changes: Mapping[str, object]) -> bool:
        """Write ``changes``, values by column, and return whether there was such a row."""
        columns = tuple(changes)
        sql = self._written.get(columns)
        if sql is None:
            put = ", ".join(f"{_column(self._model, name)} = %s" for name in columns)
            held = " AND ".join(f"{_column(self._model, name)} = %s" for name in self._where)
            sql = f"UPDATE {_quoted(self._model._meta.db_table)} SET {put} WHERE {held}"  # noqa: S608, SLF001 - names only
            self._written[columns] = sql
        values = [*zip(columns, changes.values(), strict=True), *zip(self._where, where, strict=True)]
        with _cursor() as cursor:
            cursor.execute(sql, [_stored(self._model, name, value) for name, value in values])
            return bool(cursor.rowcount)


class PreparedInsert(Generic[AnyModel]):
    """Adds a row to a table that gives it its number, which nobody asks for."""

    def __init__(self, model: type[AnyModel]) -> None:
        """Add rows of ``model``."""
        self._model = model

    def __call__(self, row: AnyModel) -> None:
        """Add a row; nobody is told of it, as ``bulk_create`` has it too."""
        sql, names = self._written
        with _cursor() as cursor:
            cursor.execute(sql, [_stored(self._model, name, getattr(row, name)) for name in names])

    @cached_property
    def _written(self) -> tuple[str, list[str]]:
        meta = self._model._meta  # noqa: SLF001 - Django's documented name
        names = [field.attname for field in meta.concrete_fields if not field.primary_key]
        columns = ", ".join(_column(self._model, name) for name in names)
        values = ", ".join(["%s"] * len(names))
        return f"INSERT INTO {_quoted(meta.db_table)} ({columns}) VALUES ({values})", names  # noqa: S608 - names only


class _Written:
    """A query as it was written, with holes for ids."""

    def __init__(self, sql: str, parameters: Sequence[Any]) -> None:
        self._sql = sql
        self._parameters = parameters

    def rows(self, ids: Collection[int]) -> list[Row]:
        """Ask it for these ids."""
        filled = dict(zip(HOLES, ids, strict=False))
        with _cursor() as cursor:
            cursor.execute(self._sql, [filled.get(value, value) for value in self._parameters])
            rows: list[Row] = cursor.fetchall()
            return rows


def _cursor() -> CursorWrapper:
    """Return a cursor that has statements read once, where the database can (``postgresql.base``)."""
    prepared: Callable[[], CursorWrapper] = getattr(connection, "prepared_cursor", connection.cursor)
    return prepared()


def _stored(model: type[Model], name: str, value: object) -> Any:  # noqa: ANN401 - what the driver takes
    return model._meta.get_field(name).get_db_prep_save(value, connection)  # type: ignore[union-attr] # noqa: SLF001


def _column(model: type[Model], name: str) -> str:
    return _quoted(model._meta.get_field(name).column)  # type: ignore[union-attr,arg-type] # noqa: SLF001


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
