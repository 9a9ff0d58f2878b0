"""Peaks of a map: local extrema apart from one another, with coordinates and region names."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bidsapp.saliency.atlas import Atlas
from bidsapp.saliency.people import PeopleMaps
from bidsapp.saliency.regions import labels_inside

COLUMNS = ("map", "peak", "x", "y", "z", "value")
PEAKS = 20
APART_MM = 10.0
NEAR_MM = 6.0
_SAME_VOXEL_MM = 1e-3


def find_peaks(
    people: PeopleMaps, values: np.ndarray, count: int = PEAKS, apart_mm: float = APART_MM
) -> np.ndarray:
    """Find the local extrema of largest magnitude, no two of them closer than `apart_mm`.

    A positive peak is at least as large as all of its neighbours (26 of a voxel, 8 of a pixel), a
    negative one at most as large; voxels outside the mask count as 0.

    Returns
    -------
    numpy.ndarray
        (peaks,) places in `values`, largest magnitude first; at most `count`.
    """
    candidates = np.flatnonzero(people.space.extrema(people.inside, values))
    order = candidates[np.argsort(-np.abs(values[candidates]), kind="stable")]
    points = people.points()
    kept: list[int] = []
    for place in order:
        if len(kept) == count:
            break
        if not kept or np.linalg.norm(points[kept] - points[place], axis=1).min() >= apart_mm:
            kept.append(int(place))
    return np.array(kept, int)


def peak_table(
    people: PeopleMaps,
    name: str,
    values: np.ndarray,
    atlases: Sequence[Atlas],
    count: int = PEAKS,
    beside: Mapping[str, np.ndarray] | None = None,
) -> pd.DataFrame:
    """List the peaks of one map.

    Parameters
    ----------
    people
        Whose grid it is.
    name
        What the map is called in the table.
    values
        (voxels,) the map.
    atlases
        Each gives a column ``region_<atlas>`` with the region's name, or the nearest one within
        `NEAR_MM` (``near insula_L (3 mm)``), or n/a.
    count
        The most peaks.
    beside
        Column name to another (voxels,) map whose value at the peak is given.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, those of `beside` and of the atlases; coordinates in template mm (RAS).
    """
    places = find_peaks(people, values, count)
    points = people.points()[places]
    table = pd.DataFrame(
        {
            "map": name,
            "peak": np.arange(1, len(places) + 1),
            "x": points[:, 0],
            "y": points[:, 1],
            "z": points[:, 2],
            "value": values[places],
        }
    )
    for column, other in (beside or {}).items():
        table[column] = other[places]
    for atlas in atlases:
        table[f"region_{atlas.name}"] = _names(atlas, people, points, places)
    return table


def _names(atlas: Atlas, people: PeopleMaps, points: np.ndarray, places: np.ndarray) -> list[str]:
    """Name the region of each peak, or the nearest."""
    from scipy.spatial import cKDTree

    names = dict(zip(atlas.regions["index"], atlas.regions["name"], strict=True))
    labels = labels_inside(atlas, people)
    named = np.flatnonzero(np.isin(labels, list(names)))
    if not len(named) or not len(places):
        return ["n/a"] * len(places)
    away, nearest = cKDTree(people.points()[named]).query(points)
    found = []
    for distance, place in zip(away, named[nearest], strict=True):
        name = names[labels[place]]
        near = f"near {name} ({distance:.0f} mm)" if distance <= NEAR_MM else "n/a"
        found.append(name if distance < _SAME_VOXEL_MM else near)
    return found
