"""The order of keys, on which losses depend.

The kernel numbers items in the order of their keys, and an item's number decides its random numbers. A lookup gives
keys in an order of its own: its processes write them as they finish, and a built-in lookup orders them within what it
was given at once. So the same exposure would get other losses with other chunks or cores, or with luck.
"""

from pathlib import Path
from typing import Final

import pandas as pd

LOCATION: Final = "LocID"


def settle(keys: Path) -> None:
    """Order the rows of a keys file by location; those of one location stay in the lookup's order.

    Args:
        keys: CSV file with a header, among it ``LocID`` (whole numbers), as the kernel writes it; changed in place.
    """
    table = pd.read_csv(keys, dtype=str, na_filter=False)
    locations = pd.to_numeric(table[LOCATION])
    if not locations.is_monotonic_increasing:
        table.loc[locations.sort_values(kind="stable").index].to_csv(keys, index=False, lineterminator="\n")
