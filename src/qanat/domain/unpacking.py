"""How much a packed file may unpack to: enough for any table, and not enough to fill a host by one small upload."""

from typing import Final

RATIO: Final = 200
"""How many times larger than itself a packed table may be: OED files reach 50, a bomb of zeros 1000."""
ALWAYS_BYTES: Final = 64 * 2**20
"""Less than this is no danger, whatever the ratio."""


def most_bytes(packed: int) -> int:
    """Return how many bytes a file of ``packed`` bytes may unpack to."""
    return max(ALWAYS_BYTES, RATIO * packed)
