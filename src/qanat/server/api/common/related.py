"""What hangs on rows, read for all rows of an answer at once: a query a relation, however many rows there are."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from django.db.models import Model, QuerySet

from qanat.server.config.prepared import Prepared, among

Read = Callable[[Collection[int]], Mapping[int, Any]]
"""Returns what hangs on each of the rows with these ids."""


class Related(dict[int, Any]):
    """What hangs on rows, by their ids; read when it is first asked for, as not every form shows it."""

    def __init__(self, read: Read, pks: Collection[int] = ()) -> None:
        """Use ``read``; for all of ``pks`` at once, for others one by one."""
        super().__init__()
        self._read = read
        self._pks = pks

    def __missing__(self, pk: int) -> Any:  # noqa: ANN401 - what `read` returns
        """Read it."""
        pks, self._pks = self._pks, ()
        self.update(self._read(pks or [pk]))
        return self[pk]


def beside(reads: Mapping[str, Read], rows: Collection[Model] = ()) -> dict[str, Related]:
    """Return what is read by name for each of ``rows``, and for others that are asked for."""
    pks = [row.pk for row in rows]
    return {name: Related(read, pks) for name, read in reads.items()}


def listed(table: type[Model], *columns: str) -> Read:
    """Return how to read columns beyond a relation to many, as lists ordered by the first of them.

    With one column the lists hold its values, with several tuples. ``portfolio__groups`` is the id of a group.
    """

    def query(pks: Collection[int]) -> QuerySet[Any, Any]:
        rows = table._default_manager.filter(**among("pk", pks))  # noqa: SLF001 - Django's documented name
        return rows.order_by(columns[0]).values_list("pk", *columns)

    rows = Prepared(query)

    def read(pks: Collection[int]) -> dict[int, list[Any]]:
        found: dict[int, list[Any]] = {pk: [] for pk in pks}
        for pk, *values in rows(pks):
            if values[0] is not None and pk in found:
                found[pk].append(tuple(values) if len(values) > 1 else values[0])
        return found

    return read
