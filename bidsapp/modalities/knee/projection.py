"""Values of cartilage onto the bone's surface: the mean within a cylinder along each normal."""

from dataclasses import dataclass

import numpy as np

from bidsapp.modalities.knee.surface import Surface
from bidsapp.modalities.knee.thickness import Sheet

RADIUS_MM = 0.729
"""Of the cylinder, as printed: two pixels of the OAI's images."""
_SLACK_MM = 0.5
_FILL_MM = 3.0


@dataclass(frozen=True)
class Cylinders:
    """Which values lie in the cylinder of which point of a surface.

    Attributes
    ----------
    point, value
        (pairs,) their numbers.
    height
        (pairs,) mm along the normal from the surface.
    count
        (points, values) how many there are of either.
    """

    point: np.ndarray
    value: np.ndarray
    height: np.ndarray
    count: tuple[int, int]

    def mean(self, values: np.ndarray, kept: np.ndarray | None = None) -> np.ndarray:
        """(points,) mean of (values,) in each cylinder; NaN where there is none.

        Parameters
        ----------
        values
            NaN is left out.
        kept
            (pairs,) bool, which pairs count; all where absent.
        """
        own = values[self.value]
        known = np.isfinite(own) if kept is None else np.isfinite(own) & kept
        point = self.point[known]
        total = np.bincount(point, own[known], self.count[0])
        number = np.bincount(point, minlength=self.count[0])
        return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def cylinders(
    places: np.ndarray, surface: Surface, sheet: Sheet, radius: float = RADIUS_MM
) -> Cylinders:
    """Find the places that lie along each covered point's normal, within its own cartilage.

    Parameters
    ----------
    places
        (k, 3) mm, where values are known.
    surface
        Of the bone.
    sheet
        Where the normals run through cartilage: values beyond, on the other side of a notch for
        instance, do not count.
    radius
        Of the cylinder, mm.
    """
    from scipy.spatial import cKDTree

    covered = np.flatnonzero(sheet.covered)
    low = np.floor((sheet.start[covered] - _SLACK_MM) / radius).astype(int)
    high = np.ceil((sheet.end[covered] + _SLACK_MM) / radius).astype(int)
    steps = high - low + 1
    point = np.repeat(covered, steps)
    step = np.arange(len(point)) - np.repeat(np.cumsum(steps) - steps, steps)
    height = (np.repeat(low, steps) + step) * radius
    # Balls around places on the axis, so wide that together they hold the cylinder.
    centres = surface.points[point] + height[:, None] * surface.normals[point]
    wide = radius * np.sqrt(1.25)
    found = cKDTree(centres).query_ball_tree(cKDTree(places), wide) if len(places) else []
    sizes = np.fromiter(map(len, found), int, len(found))
    value = np.fromiter((v for one in found for v in one), int, int(sizes.sum()))
    key = np.unique(np.repeat(point[: len(sizes)], sizes) * max(1, len(places)) + value)
    point, value = np.divmod(key, max(1, len(places)))
    offset = places[value] - surface.points[point]
    along = (offset * surface.normals[point]).sum(1)
    aside = np.linalg.norm(offset - along[:, None] * surface.normals[point], axis=1)
    inside = (aside <= radius) & (along >= sheet.start[point] - _SLACK_MM)
    inside &= along <= sheet.end[point] + _SLACK_MM
    count = (len(surface.points), len(places))
    return Cylinders(point[inside], value[inside], along[inside], count)


def filled(values: np.ndarray, wanted: np.ndarray, surface: Surface) -> tuple[np.ndarray, int]:
    """Give points without a value that of the nearest one that has one, within `_FILL_MM`.

    Parameters
    ----------
    values
        (n,) NaN where there is none.
    wanted
        (n,) bool, where there should be one.

    Returns
    -------
    values, filled
        NaN outside `wanted` and where none is near; and how many were filled.
    """
    from scipy.spatial import cKDTree

    result = np.where(wanted, values, np.nan)
    holes, known = np.flatnonzero(wanted & ~np.isfinite(values)), wanted & np.isfinite(values)
    if not len(holes) or not known.any():
        return result, 0
    distance, nearest = cKDTree(surface.points[known]).query(surface.points[holes])
    near = distance <= _FILL_MM
    result[holes[near]] = values[known][nearest[near]]
    return result, int(near.sum())
