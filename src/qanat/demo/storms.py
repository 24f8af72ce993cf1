"""Hurricanes: a synthetic set of landfalls and the peak gusts they bring to each place.

The wind profile is Holland's (1980), its radius and shape after Vickery, Skerlj and Twisdale (2000), the decay over
land after Kaplan and DeMaria (1995). Tracks are straight; the motion of the storm adds to the wind on its right-hand
side.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from qanat.demo.geography import COAST, Floats, distance_to_coast, to_plane

AIR_DENSITY: Final = 1.15
"""kg/m3"""
SURFACE_FACTOR: Final = 0.8
"""Wind near the ground as a share of the gradient wind, over the sea."""
GUST_FACTOR: Final = 1.3
"""3-second gust as a share of the mean wind."""
LANDFALL_FACTOR: Final = 0.9
DECAY_PER_HOUR: Final = 0.095
ROUGHNESS_LOSS: Final = 0.18
"""Share of the gust that rough ground takes away far inland ..."""
ROUGHNESS_KM: Final = 25.0
"""... and the distance from the coast over which it does."""
MOTION_SHARE: Final = 0.5
"""Share of the storm's own motion that adds to the wind on its right."""
REACH_KM: Final = 500.0
CORIOLIS: Final = 6.8e-5
"""1/s, at 28 degrees north."""


@dataclass(frozen=True)
class Storms:
    """A set of storms; every field has shape (number of storms,)."""

    landfall: Floats
    """(x, y) in km, shape (number of storms, 2)."""
    heading: Floats
    """Direction of motion: radians, counter-clockwise from east."""
    speed: Floats
    """Of the storm's motion: m/s."""
    deficit: Floats
    """Central pressure deficit at landfall: Pa."""
    radius: Floats
    """Of maximum winds: km."""
    shape: Floats
    """Holland's B."""


def draw(number: int, generator: np.random.Generator) -> Storms:
    """Draw storms: landfall anywhere on the coast, towards land within some 50 degrees of straight on."""
    coast = to_plane(COAST)
    along = np.diff(coast, axis=0)
    lengths = np.linalg.norm(along, axis=1)
    segment = generator.choice(len(lengths), size=number, p=lengths / lengths.sum())
    landfall = coast[segment] + generator.random((number, 1)) * along[segment]
    # The coast is listed with the land to its left.
    inland = np.arctan2(along[segment, 0], -along[segment, 1])
    heading = inland + np.radians(np.clip(generator.normal(0.0, 30.0, number), -50.0, 50.0))
    deficit = np.clip(15.0 + generator.weibull(1.35, number) * 32.0, 15.0, 115.0)
    latitude = 28.0 + landfall[:, 1] / 111.195
    radius = np.exp(2.636 - 0.00005086 * deficit**2 + 0.0394899 * latitude + generator.normal(0.0, 0.25, number))
    shape = np.clip(1.38 + 0.00184 * deficit - 0.00309 * radius, 0.9, 2.2)
    speed = np.clip(generator.lognormal(np.log(5.5), 0.4, number), 2.0, 15.0)
    return Storms(landfall, heading, speed, deficit * 100.0, radius, shape)


def gradient_wind(storms: Storms, distance: Floats) -> Floats:
    """Return Holland's (1980) gradient wind in m/s.

    Args:
        storms: n storms.
        distance: from the centre in km, shape (n, places).
    """
    r = np.maximum(distance, 1.0)
    ratio = (storms.radius[:, None] / r) ** storms.shape[:, None]
    pressure = storms.shape[:, None] / AIR_DENSITY * storms.deficit[:, None] * ratio * np.exp(-ratio)
    rotation = r * 1000.0 * CORIOLIS / 2.0
    wind: Floats = np.sqrt(pressure + rotation**2) - rotation
    return wind


def decay(hours: Floats) -> Floats:
    """Return what is left of a strong wind so many hours after landfall, as a share (Kaplan and DeMaria, 1995)."""
    hours = np.maximum(hours, 0.0)
    share: Floats = np.where(hours > 0, LANDFALL_FACTOR * np.exp(-DECAY_PER_HOUR * hours), 1.0)
    return share


def peak_gusts(storms: Storms, places: Floats) -> Floats:
    """Return the highest 3-second gust in m/s that each storm brings to each place.

    It is taken where the storm is nearest; before landfall the storm has its full strength, after it what decay leaves.

    Args:
        storms: n storms.
        places: (latitude, longitude) in degrees, shape (places, 2).

    Returns:
        Shape (n, places).
    """
    direction = np.stack([np.cos(storms.heading), np.sin(storms.heading)], axis=-1)
    offset = to_plane(places)[None, :, :] - storms.landfall[:, None, :]
    along = np.clip((offset * direction[:, None, :]).sum(-1), -REACH_KM, REACH_KM)
    beside = offset - along[..., None] * direction[:, None, :]
    distance = np.linalg.norm(beside, axis=-1)
    # Positive to the right of the track, where motion and rotation add up on this side of the equator.
    right = direction[:, None, 1] * offset[..., 0] - direction[:, None, 0] * offset[..., 1]
    side = np.sign(right) * np.minimum(distance / storms.radius[:, None], 1.0) * np.exp(-distance / 200.0)
    left_of_it = decay(along * 1000.0 / storms.speed[:, None] / 3600.0)
    rotating = SURFACE_FACTOR * gradient_wind(storms, np.maximum(distance, storms.radius[:, None])) * left_of_it
    moving = MOTION_SHARE * storms.speed[:, None] * side
    rough = 1.0 - ROUGHNESS_LOSS * (1.0 - np.exp(-distance_to_coast(places) / ROUGHNESS_KM))
    gusts: Floats = np.maximum(GUST_FACTOR * (rotating + moving) * rough[None, :], 0.0)
    return gusts
