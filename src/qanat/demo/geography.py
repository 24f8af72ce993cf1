"""Florida: its coast as a line of places, and the grid of area perils laid over it.

Distances are in kilometres on a plane tangent to the earth at the middle of the state, good to a percent over its
extent.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COAST: Final = np.array(
    [
        # latitude, longitude: from Pensacola along the Gulf, around the Everglades, and up the Atlantic to Georgia
        (30.33, -87.14), (30.38, -86.50), (30.17, -85.80), (29.72, -84.98), (29.85, -84.66), (30.08, -84.18),
        (29.67, -83.39), (29.14, -83.03), (28.77, -82.70), (28.24, -82.74), (27.98, -82.83), (27.72, -82.74),
        (27.32, -82.58), (27.10, -82.46), (26.75, -82.26), (26.43, -82.10), (26.14, -81.80), (25.94, -81.73),
        (25.85, -81.39), (25.13, -81.09), (25.14, -80.92), (25.09, -80.45), (25.45, -80.33), (25.79, -80.13),
        (26.12, -80.10), (26.71, -80.03), (27.20, -80.17), (27.65, -80.35), (28.08, -80.56), (28.46, -80.53),
        (29.21, -81.00), (29.89, -81.27), (30.29, -81.39), (30.67, -81.43),
    ]
)  # fmt: skip
INLAND_CORNERS: Final = np.array([(31.0, -82.0), (31.0, -87.5)])
"""Close the coast to a polygon along the northern border."""

LATITUDES: Final = (24.5, 31.0)
LONGITUDES: Final = (-87.8, -79.8)
CELL_DEGREES: Final = 0.1
ROWS: Final = round((LATITUDES[1] - LATITUDES[0]) / CELL_DEGREES)
LOOKS_PER_CELL: Final = 21
"""In each direction: land that is half a kilometre across is found."""
COLUMNS: Final = round((LONGITUDES[1] - LONGITUDES[0]) / CELL_DEGREES)
MIDDLE: Final = (28.0, -83.0)
KM_PER_DEGREE: Final = 111.195
"""Of latitude: the length of a meridian degree on a sphere of radius 6371 km."""


def to_plane(points: Floats) -> Floats:
    """Return (x east, y north) in km for points (latitude, longitude) in degrees, shape (..., 2)."""
    x = (points[..., 1] - MIDDLE[1]) * KM_PER_DEGREE * np.cos(np.radians(MIDDLE[0]))
    y = (points[..., 0] - MIDDLE[0]) * KM_PER_DEGREE
    return np.stack([x, y], axis=-1)


def cell_centres() -> tuple[NDArray[np.int64], Floats]:
    """Return the area peril ids and centres (latitude, longitude) of all grid cells, shapes (n,) and (n, 2).

    Ids are those that the kernel's built-in ``fixed_size_geo_grid`` lookup gives: column * rows + row + 1.
    """
    column, row = np.meshgrid(np.arange(COLUMNS), np.arange(ROWS), indexing="ij")
    ids = (column * ROWS + row + 1).ravel()
    latitude = LATITUDES[0] + (row.ravel() + 0.5) * CELL_DEGREES
    longitude = LONGITUDES[0] + (column.ravel() + 0.5) * CELL_DEGREES
    return ids, np.stack([latitude, longitude], axis=-1)


def on_land(points: Floats) -> NDArray[np.bool_]:
    """Say which points (latitude, longitude) lie within the coast, by the even-odd rule."""
    polygon = np.concatenate([COAST, INLAND_CORNERS])
    latitude, longitude = points[:, 0:1], points[:, 1:2]
    first, second = polygon, np.roll(polygon, -1, axis=0)
    straddles = (first[:, 0] > latitude) != (second[:, 0] > latitude)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = first[:, 1] + (latitude - first[:, 0]) / (second[:, 0] - first[:, 0]) * (second[:, 1] - first[:, 1])
    inside: NDArray[np.bool_] = (straddles & (longitude < crossing)).sum(axis=1) % 2 == 1
    return inside


def touches_land(centres: Floats) -> NDArray[np.bool_]:
    """Say which grid cells, given by their centres, have land in them: a coastal cell's centre may lie at sea."""
    steps = np.linspace(-0.5, 0.5, LOOKS_PER_CELL) * CELL_DEGREES
    found = np.zeros(len(centres), dtype=np.bool_)
    for north in steps:
        for east in steps:
            found |= on_land(centres + np.array([north, east]))
    return found


def distance_to_coast(points: Floats) -> Floats:
    """Return the distance in km of points (latitude, longitude) to the coast line, shape (n,)."""
    coast = to_plane(COAST)
    start, along = coast[:-1], np.diff(coast, axis=0)
    offset = to_plane(points)[:, None, :] - start
    share = np.clip((offset * along).sum(-1) / (along**2).sum(-1), 0.0, 1.0)
    nearest: Floats = np.linalg.norm(offset - share[..., None] * along, axis=-1).min(axis=1)
    return nearest
