"""How archives (tar.gz; between steps tar) are written, and what of them is believed, wherever they are read."""

from typing import Final

MOST_MEMBERS: Final = 1_000_000
MOST_BYTES: Final = 500 * 2**30
MOST_RATIO: Final = 200
"""How many times larger than itself an archive may unpack: exposure and loss tables reach 20."""
RATIO_FROM_BYTES: Final = 256 * 2**20
"""Less than this is no danger, whatever the ratio: a table of zeros is small."""
SECTION_BYTES: Final = 4 * 2**20
"""Each time so much has been compressed a new section of gzip begins, where a reader can begin too."""


def most_unpacked(size: int) -> int:
    """Return how many bytes an archive of a size may unpack to."""
    return min(MOST_BYTES, max(RATIO_FROM_BYTES, MOST_RATIO * size))
