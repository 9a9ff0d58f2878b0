"""Thickness of cartilage, twice: on each sagittal slice's skeleton, and along the bone's normals.

As printed (Morales et al. 2021): on every sagittal slice, twice the distance of the skeleton's
pixels to the nearest pixel outside the cartilage. A layer that is oblique to the slice comes out
too thick, by a tenth on the mean of femur and patella; `upright` takes that back by the angle
between the bone's normal and the slice.
The second measure follows the normal of the bone's surface through the cartilage and adds up how
much of it there is around the normal, by a Gaussian as wide as the printed cylinder.
"""

from dataclasses import dataclass

import numpy as np

from bidsapp.modalities.knee.surface import Surface
from bidsapp.modalities.knee.volumes import bounding_box

STEP_MM = 0.15
REACH_MM = 9.0
"""How far cartilage is followed from the bone; no cartilage of a knee is thicker."""
GAP_MM = 1.5
"""How far from the bone's surface its cartilage may begin, as label maps leave gaps."""
THIN_MM = 0.25
"""Less than this along the normal is no cartilage: the edge of a voxel."""
_AROUND = 0.25  # share of cartilage around a place below which a normal has left it
_SPREAD_MM = 0.729 / 2  # SD over a disc of the cylinder's radius
_RISE = 0.6  # least distance from the bone, over the way along the normal
_TAIL_MM = 1.05  # how far the Gaussian spreads cartilage beyond its ends


@dataclass(frozen=True)
class Sheet:
    """What the normals of a bone's surface meet of its cartilage.

    Attributes
    ----------
    thickness
        (n,) mm; 0 where there is none.
    start, end
        (n,) mm along the normal from the surface where the cartilage begins and ends; NaN where
        there is none.
    """

    thickness: np.ndarray
    start: np.ndarray
    end: np.ndarray

    @property
    def covered(self) -> np.ndarray:
        """(n,) bool: there is cartilage on the point."""
        return np.asarray(self.thickness > 0)


def thickness_along_normals(cartilage: np.ndarray, spacing: np.ndarray, surface: Surface) -> Sheet:
    """Measure cartilage along the bone's normals.

    Parameters
    ----------
    cartilage
        (lateral, anterior, superior) bool: the bone's own.
    spacing
        Millimetres between voxels; voxel 0 lies at 0 mm.
    surface
        Of the bone, in the same millimetres.

    Returns
    -------
    Sheet
        Of the first layer that begins within `GAP_MM` of the surface.
    """
    from scipy.ndimage import gaussian_filter

    n = len(surface.points)
    box = (
        bounding_box(cartilage, int(np.ceil(_TAIL_MM / min(spacing)))) if cartilage.any() else None
    )
    if box is None:
        return Sheet(np.zeros(n), np.full(n, np.nan), np.full(n, np.nan))
    corner = np.array([part.start for part in box]) * spacing
    soft = gaussian_filter(cartilage[box].astype(np.float32), _SPREAD_MM / spacing, truncate=3)
    high = corner + np.array(soft.shape) * spacing + REACH_MM
    near = ((surface.points >= corner - REACH_MM) & (surface.points <= high)).all(1)
    points, normals = (surface.points[near] - corner) / spacing, surface.normals[near] / spacing
    steps = np.arange(-GAP_MM - _TAIL_MM, REACH_MM, STEP_MM)
    amount = np.stack([_trilinear(soft, points + step * normals) for step in steps], axis=1)
    inside = amount > _AROUND
    first = np.argmax(inside, axis=1)
    begins = inside.any(1) & (np.abs(steps[first]) <= GAP_MM)
    place = np.arange(len(steps))
    left = (place > first[:, None]) & ~inside
    last = np.where(left.any(1), np.argmax(left, axis=1), len(steps))
    tail = round(_TAIL_MM / STEP_MM)
    run = (place >= first[:, None] - tail) & (place < last[:, None] + tail)
    thickness = (amount * run).sum(1) * STEP_MM
    end = steps[np.minimum(last, len(steps) - 1)]
    found = begins & (thickness >= THIN_MM) & _rises(surface, near, end)
    sheet = [np.zeros(n), np.full(n, np.nan), np.full(n, np.nan)]
    measured = (thickness, steps[first], end)
    for whole, own in zip(sheet, measured, strict=True):
        whole[np.flatnonzero(near)[found]] = own[found]
    return Sheet(*sheet)


def _rises(surface: Surface, near: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Tell whether normals leave the bone; at a plate's rim some run along it, through it all."""
    from scipy.spatial import cKDTree

    tips = surface.points[near] + end[:, None] * surface.normals[near]
    away = cKDTree(surface.points).query(tips)[0]
    return np.asarray((away >= _RISE * end) | (end < 1))


def thickness_on_skeletons(
    cartilage: np.ndarray, spacing: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Measure cartilage as printed: twice the distance transform on each sagittal skeleton.

    Parameters
    ----------
    cartilage
        (lateral, anterior, superior) bool.
    spacing
        Millimetres between voxels.

    Returns
    -------
    points
        (k, 3) mm, the pixels of the skeletons.
    thickness
        (k,) mm.
    """
    from scipy.ndimage import distance_transform_edt
    from skimage.morphology import skeletonize

    points, thickness = [], []
    for slice_ in np.flatnonzero(cartilage.any((1, 2))):
        whole = cartilage[slice_]
        rows, columns = np.flatnonzero(whole.any(1)), np.flatnonzero(whole.any(0))
        corner = np.array([rows[0], columns[0]]) - 1
        layer = np.pad(whole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)
        distance = distance_transform_edt(layer, sampling=spacing[1:])
        pixels = np.argwhere(skeletonize(layer))
        thickness.append(2 * distance[tuple(pixels.T)])
        places = (pixels + corner).astype(float)
        points.append(np.insert(places, 0, slice_, axis=1) * spacing)
    if not points:
        return np.zeros((0, 3)), np.zeros(0)
    return np.concatenate(points), np.concatenate(thickness)


def upright(thickness: np.ndarray, surface: Surface) -> np.ndarray:
    """Turn (n,) thickness within sagittal slices into thickness along the bone's normals."""
    return np.asarray(thickness * np.sqrt(1 - np.minimum(surface.normals[:, 0] ** 2, 1)))


def _trilinear(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    from scipy.ndimage import map_coordinates

    return np.asarray(map_coordinates(values, places.T, order=1, mode="constant", prefilter=False))
