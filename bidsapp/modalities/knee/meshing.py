"""From a bone's voxels to its surface: shaft cropped, smoothed, thinned out, marching cubes."""

from dataclasses import dataclass

import numpy as np

from bidsapp.errors import BadData
from bidsapp.modalities.knee.anatomy import Bone
from bidsapp.modalities.knee.surface import Surface, distance_to
from bidsapp.modalities.knee.volumes import bounding_box, largest_piece

SMOOTHING_MM = 0.6
"""SD of the Gaussian that rounds the steps of voxels before the surface is drawn at one half; at
least `_OF_A_VOXEL` of the voxel along each axis."""
_OF_A_VOXEL = 0.8
EDGE_MM = 1.0
"""Grid on which marching cubes draw: points lie about so far apart, evenly, whatever the image."""
_LEAST_VOXELS = 2000
_CHECKED = 2000


@dataclass(frozen=True)
class Meshed:
    """A bone's surface and how well it keeps to its voxels.

    Attributes
    ----------
    surface
        In the knee's frame.
    cut
        (n,) bool: the point lies on the plane where the shaft was cropped.
    error
        95th percentile of the distance, in mm, from the steps of the voxels to the surface.
    shaft_left
        Millimetres of shaft beyond the crop that the image has; negative where it has too little.
    pieces
        How many other pieces of more than a hundredth of the bone were left out.
    """

    surface: Surface
    cut: np.ndarray
    error: float
    shaft_left: float
    pieces: int


def crop_shaft(
    mask: np.ndarray, spacing: np.ndarray, bone: Bone, length: float | None = None
) -> tuple[np.ndarray, float]:
    """Take a bone's joint end, in proportion to its width from side to side.

    Parameters
    ----------
    mask
        (lateral, anterior, superior) bool.
    spacing
        Millimetres between voxels.
    length
        Of the end, over its width: 1 as printed. The bone's own where absent.

    Returns
    -------
    mask, shaft_left
        The end; and how much of the shaft was beyond, in mm: negative where the image ends before.
    """
    if bone.shaft is None:
        return mask, 0.0
    (axis,) = np.flatnonzero(bone.shaft)
    upwards = bone.shaft[axis] > 0
    wide = np.flatnonzero(mask.any((1, 2)))
    tall = np.flatnonzero(mask.any((0, 1)))
    width = (wide[-1] - wide[0] + 1) * spacing[0]
    wanted = width * (bone.length if length is None else length)
    there = (tall[-1] - tall[0] + 1) * spacing[axis]
    kept = round(wanted / spacing[axis])
    cropped = mask.copy()
    if upwards:
        cropped[..., tall[0] + kept :] = False
    else:
        cropped[..., : max(0, tall[-1] + 1 - kept)] = False
    return cropped, float(there - wanted)


def mesh_bone(
    mask: np.ndarray,
    spacing: np.ndarray,
    bone: Bone,
    edge_mm: float = EDGE_MM,
    length: float | None = None,
) -> Meshed:
    """Draw a bone's surface.

    Parameters
    ----------
    mask
        (lateral, anterior, superior) bool, the whole bone.
    spacing
        Millimetres between voxels.
    edge_mm
        Millimetres between points of the surface, about.
    length
        See `crop_shaft`.

    Raises
    ------
    BadData
        The bone has too few voxels, or no closed surface comes out.
    """
    if int(mask.sum()) < _LEAST_VOXELS:
        raise BadData(
            f"{bone.name} has {int(mask.sum())} voxels; a bone has at least {_LEAST_VOXELS}. "
            "Correct the label map, or leave the bone out of preparation.bones."
        )
    box = bounding_box(mask, 0)
    end, left = crop_shaft(mask[box], spacing, bone, length)
    end, pieces = largest_piece(end)
    surface = _marching(end, spacing, edge_mm)
    if surface.volume <= 0 or not surface.closed:
        raise BadData(
            f"{bone.name}: no closed surface comes out of its voxels. Look at the label map: is "
            "it one solid piece?"
        )
    edges = _edge_points(end, spacing)
    some = np.linspace(0, len(edges) - 1, min(_CHECKED, len(edges))).astype(int)
    error = float(np.percentile(distance_to(surface, edges[some]), 95))
    start = np.array([part.start for part in box]) * spacing
    surface = surface.moved(surface.points + start)
    return Meshed(surface, _cut_points(surface, bone), error, left, pieces)


def _marching(mask: np.ndarray, spacing: np.ndarray, edge_mm: float) -> Surface:
    """Draw the surface at one half of the smoothed mask, on a grid of cubes."""
    from scipy.ndimage import gaussian_filter
    from skimage.measure import marching_cubes

    spread = np.maximum(SMOOTHING_MM, _OF_A_VOXEL * spacing)
    margin = np.ceil((3 * spread + edge_mm) / spacing).astype(int)
    padded = np.pad(mask, [(m, m) for m in margin]).astype(np.float32)
    soft = gaussian_filter(padded, spread / spacing, truncate=3)
    for axis, size in enumerate(spacing):
        soft = _resampled(soft, axis, edge_mm / size)
    # With "ascent" the triangles of what is brighter turn anticlockwise as seen from outside.
    points, triangles, _, _ = marching_cubes(
        soft, 0.5, spacing=(edge_mm,) * 3, gradient_direction="ascent"
    )
    drawn = Surface(points.astype(float) - margin * spacing, triangles.astype(np.int32))
    return drawn.smoothed()


def _resampled(values: np.ndarray, axis: int, step: float) -> np.ndarray:
    """Read values along an axis every `step` places, between two neighbours linearly."""
    last = values.shape[axis] - 1
    places = np.arange(0, last, step)
    low = np.minimum(places.astype(int), last - 1)
    shape = [1, 1, 1]
    shape[axis] = -1
    share = (places - low).astype(np.float32).reshape(shape)
    below, above = np.take(values, low, axis), np.take(values, low + 1, axis)
    return np.asarray(below + share * (above - below))


def _edge_points(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """(n, 3) where the mask ends halfway between two voxels, in mm."""
    found = []
    for axis in range(3):
        inner = np.moveaxis(mask, axis, 0)
        places = np.argwhere(inner[1:] != inner[:-1]).astype(float)
        places[:, 0] += 0.5
        found.append(np.insert(places[:, 1:], axis, places[:, 0], axis=1) * spacing)
    return np.concatenate(found)


def _cut_points(surface: Surface, bone: Bone) -> np.ndarray:
    """Tell the points of the plane in which the shaft ends."""
    if bone.shaft is None:
        return np.zeros(len(surface.points), bool)
    along = surface.points @ np.asarray(bone.shaft)
    facing = surface.normals @ np.asarray(bone.shaft) > 0.7
    return np.asarray((along > along.max() - 2) & facing)
