"""Which queues stock workers serve: whoever registered last decides."""

from collections.abc import Iterable

from qanat.server.runs.models import StockQueue


def serve(queues: Iterable[str], *, stock: bool) -> None:
    """Note that from now on stock workers, or our own, serve these queues."""
    if stock:
        StockQueue.objects.bulk_create([StockQueue(name=name) for name in queues], ignore_conflicts=True)
    else:
        StockQueue.objects.filter(name__in=queues).delete()


def is_stock(queue: str) -> bool:
    """Say whether stock workers serve a queue."""
    return StockQueue.objects.filter(name=queue).exists()


def queues() -> set[str]:
    """Return the names of the queues that stock workers serve."""
    return set(StockQueue.objects.values_list("name", flat=True))
