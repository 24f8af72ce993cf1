"""How the locations are cut into slices for the lookup."""

from collections.abc import Sequence


def slice_of(ids: Sequence[int], *, index: int, count: int) -> Sequence[int]:
    """Return the ``index``-th (from 0) of ``count`` contiguous slices of ``ids``.

    The slices differ in length by one at most, and put together in order they are ``ids``. With more slices than ids the
    last ones are empty.
    """
    if not 0 <= index < count:
        message = f"slice {index} of {count} does not exist"
        raise ValueError(message)
    length, longer = divmod(len(ids), count)
    begin = index * length + min(index, longer)
    return ids[begin : begin + length + (index < longer)]
