"""The storms of the demonstration behave as hurricanes do, and its Florida is where Florida is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qanat.demo import geography
from qanat.demo.geography import Floats, cell_centres, distance_to_coast, on_land, to_plane
from qanat.demo.storms import Storms, decay, draw, gradient_wind, peak_gusts

ORLANDO, TALLAHASSEE, LAKE_CITY = (28.54, -81.38), (30.44, -84.28), (30.19, -82.64)
GULF, ATLANTIC, BAHAMAS = (27.0, -85.0), (28.5, -79.9), (26.0, -79.0)
MIAMI_BEACH = (25.79, -80.13)


def at(*places: tuple[float, float]) -> Floats:
    return np.array(places, dtype=np.float64)


def storm(
    *, deficit: float = 6000.0, heading: float = np.pi / 2, landfall: tuple[float, float] = (28.0, -83.0)
) -> Storms:
    """Return one storm that moves north unless said otherwise."""
    return Storms(
        landfall=to_plane(at(landfall)),
        heading=np.array([np.pi / 2]),
        speed=np.array([5.0]),
        deficit=np.array([deficit]),
        radius=np.array([35.0]),
        shape=np.array([1.4]),
    )


def from_plane(points: Floats) -> Floats:
    """Undo ``to_plane``."""
    east, north = to_plane(at((28.0, -82.0)))[0, 0], to_plane(at((29.0, -83.0)))[0, 1]
    return np.stack([28.0 + points[:, 1] / north, -83.0 + points[:, 0] / east], axis=-1)


def on_coast(points: Floats) -> Floats:
    return distance_to_coast(from_plane(points))


def test_the_storms_are_the_same_for_the_same_seed_and_others_for_another() -> None:
    first, again, other = (draw(50, np.random.default_rng(seed)) for seed in (1, 1, 2))

    assert np.array_equal(first.deficit, again.deficit)
    assert np.array_equal(first.landfall, again.landfall)
    assert not np.array_equal(first.deficit, other.deficit)


def test_storms_make_landfall_on_the_coast_and_move_inland() -> None:
    storms = draw(500, np.random.default_rng(3))

    ahead = storms.landfall + 1.0 * np.stack([np.cos(storms.heading), np.sin(storms.heading)], axis=-1)

    assert on_coast(storms.landfall).max() < 1e-6
    assert on_land(from_plane(ahead)).mean() > 0.97


@given(deficit=st.floats(1500, 11500), more=st.floats(100, 3000))
def test_a_deeper_storm_brings_stronger_gusts_everywhere(deficit: float, more: float) -> None:
    places = at(ORLANDO, TALLAHASSEE, LAKE_CITY, MIAMI_BEACH)

    shallow, deep = (peak_gusts(storm(deficit=pressure), places) for pressure in (deficit, deficit + more))

    assert shallow.shape == deep.shape == (1, 4)
    assert (deep >= shallow).all()
    assert deep.max() > shallow.max()


def test_the_wind_is_strongest_near_the_radius_of_maximum_winds_and_fades_outwards() -> None:
    distances = np.arange(1.0, 400.0, dtype=np.float64)

    wind = gradient_wind(storm(), distances[None, :])[0]

    assert distances[wind.argmax()] == pytest.approx(35.0, abs=3.0)
    assert (np.diff(wind[wind.argmax() :]) < 0).all()
    assert (wind >= 0).all()


def test_the_right_hand_side_of_the_track_is_windier_than_the_left() -> None:
    left_and_right = at((29.5, -82.35), (29.5, -81.65))

    left, right = peak_gusts(storm(landfall=(29.0, -82.0)), left_and_right)[0]

    # Both lie so far inland that the ground alone does not tell them apart.
    assert distance_to_coast(left_and_right).min() > 30.0
    assert right > left * 1.02


@given(hours=st.floats(0, 48), more=st.floats(0.1, 48))
def test_a_storm_loses_strength_over_land_and_never_gains_it(hours: float, more: float) -> None:
    before, behind = decay(np.array([hours, hours + more]))

    assert 0.0 < behind < before <= 1.0


def test_a_storm_has_its_full_strength_until_landfall() -> None:
    left = decay(np.array([-10.0, 0.0, 1e-6]))

    assert left == pytest.approx([1.0, 1.0, 0.9], abs=1e-6)


@pytest.mark.parametrize("place", [ORLANDO, TALLAHASSEE, LAKE_CITY])
def test_what_lies_in_florida_is_on_land(place: tuple[float, float]) -> None:
    assert on_land(at(place)).all()


@pytest.mark.parametrize("place", [GULF, ATLANTIC, BAHAMAS])
def test_what_lies_in_the_sea_is_not(place: tuple[float, float]) -> None:
    assert not on_land(at(place)).any()


def test_distances_are_in_kilometres() -> None:
    miami_beach, orlando = distance_to_coast(at(MIAMI_BEACH, ORLANDO))
    a_degree = to_plane(at((29.0, -83.0), (28.0, -83.0)))

    assert miami_beach == pytest.approx(0.0, abs=1e-9)
    assert 40.0 < orlando < 90.0
    assert np.linalg.norm(a_degree[0] - a_degree[1]) == pytest.approx(111.2, abs=0.1)


def test_every_cell_of_the_grid_has_an_id_of_its_own() -> None:
    ids, centres = cell_centres()

    assert sorted(ids) == list(range(1, geography.ROWS * geography.COLUMNS + 1))
    assert len(np.unique(centres, axis=0)) == len(ids)
