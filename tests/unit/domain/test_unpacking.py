"""How much a packed file may unpack to."""

import pytest

from qanat.domain.unpacking import most_bytes

MIB = 2**20


@pytest.mark.parametrize(
    ("packed", "unpacked", "taken"),
    [
        (190_000, 200_000_000, False),  # The bomb of the reference.
        (10_000, 60 * MIB, True),
        (100 * MIB, 3000 * MIB, True),
        (100 * MIB, 100_000 * MIB, False),
    ],
)
def test_tables_are_taken_and_bombs_are_not(packed: int, unpacked: int, taken: bool) -> None:  # noqa: FBT001 - a case
    assert (unpacked <= most_bytes(packed)) is taken
