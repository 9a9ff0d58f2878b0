"""The boundary of white matter in a T1w image, drawn between classes of intensity."""

from dataclasses import dataclass

import numpy as np

# Points that stand for it, and how far to either side of it series are compared. Chosen after
# seeing: with 2 mm, and with 3 mm more so, places lay farther from the true ones (bold_boundary's
# heads).
_POINTS, APART_MM = 10000, 1.5
# Fewer points hold no head.
_LEAST_POINTS = 2000
# White matter is evened out over so many mm; the coarse grid on which that is done.
_EVEN_MM, _COARSE_MM, _ROUNDS = 25.0, 4.0, 3
_SMOOTH_MM = 0.7


@dataclass(frozen=True)
class Boundary:
    """Where white matter ends.

    Attributes
    ----------
    points
        On the boundary, RAS mm of the T1w image, shape (N, 3); each stands for as much of it.
    outwards
        Unit vectors away from white matter, shape (N, 3).
    """

    points: np.ndarray
    outwards: np.ndarray


def white_matter_boundary(brain: np.ndarray, affine: np.ndarray) -> Boundary | None:
    """Draw the boundary of white matter, between two of three classes of intensity.

    Parameters
    ----------
    brain
        T1w image, 0 outside of the brain, shape (X, Y, Z).
    affine
        Its 4 × 4, voxel indices to RAS mm.

    Returns
    -------
    Boundary or None
        None where there is too little of it.

    Notes
    -----
    White matter itself says how bright the coil is where, in three rounds. The boundary is the
    surface of the value half way between grey and white (Otsu's classes) in the largest piece of
    white matter, where white matter lies 1.5 mm to one side of it, darker tissue 1.5 mm to the
    other, and the edge of the brain farther away.
    """
    from scipy.ndimage import binary_dilation, gaussian_filter, map_coordinates
    from skimage.measure import label, marching_cubes

    if not (brain > 0).any():
        return None
    box = tuple(slice(max(one.min() - 2, 0), one.max() + 3) for one in np.nonzero(brain > 0))
    near = brain[box].astype(np.float32)
    matrix = affine.copy()
    matrix[:3, 3] += affine[:3, :3] @ [one.start for one in box]
    sizes = np.sqrt((matrix[:3, :3] ** 2).sum(axis=0))
    inside = near > 0
    even = near / _brightness(near, sizes)
    low, cut = _thresholds(even[inside])
    if not 0 < low < cut:
        return None
    even = np.minimum(even, cut + (cut - low))  # vessels and fat are no whiter than white
    soft = gaussian_filter(even, _SMOOTH_MM / sizes)
    pieces = label(soft > cut)
    sizes_of = np.bincount(pieces.ravel())
    if len(sizes_of) < 2:
        return None
    whole = binary_dilation(pieces == sizes_of[1:].argmax() + 1)
    corners, triangles, *_ = marching_cubes(
        np.where(whole, soft, 0), cut, gradient_direction="ascent", allow_degenerate=False
    )
    drawn = (corners @ matrix[:3, :3].T + matrix[:3, 3])[triangles]
    normals = np.cross(drawn[:, 1] - drawn[:, 0], drawn[:, 2] - drawn[:, 0])
    if np.linalg.det(matrix[:3, :3]) < 0:
        normals = -normals  # a mirrored grid turns triangles round
    area = np.linalg.norm(normals, axis=1)
    centres, normals = drawn.mean(axis=1), normals / np.maximum(area, 1e-9)[:, None]
    back = np.linalg.inv(matrix)

    def read(image: np.ndarray, away: float) -> np.ndarray:
        at = (centres + away * normals) @ back[:3, :3].T + back[:3, 3]
        return np.asarray(map_coordinates(image, at.T, order=1))

    good = (read(even, -APART_MM) > cut) & (read(even, APART_MM) < cut) & (area > 1e-6)
    good &= read(inside.astype(np.float32), APART_MM + 1) > 0.99
    if np.count_nonzero(good) < _LEAST_POINTS:
        return None
    # each of the same share of the surface
    ends = np.cumsum(area[good])
    wanted = (np.arange(_POINTS) + 0.5) / _POINTS * ends[-1]
    chosen = np.flatnonzero(good)[np.unique(np.searchsorted(ends, wanted))]
    return Boundary(centres[chosen], normals[chosen])


def _brightness(brain: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """How bright white matter is at every voxel, from white matter around it; 1 is the mean."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    steps = np.maximum(1, np.round(_COARSE_MM / sizes)).astype(int)
    coarse = brain[tuple(slice(None, None, step) for step in steps)]
    inside, wide = coarse > 0, _EVEN_MM / (sizes * steps)
    field_of = np.zeros_like(coarse)
    for _ in range(_ROUNDS):
        even = coarse / np.exp(field_of)
        low, cut = _thresholds(even[inside])
        white = inside & (even > cut) & (even < cut + 2 * (cut - low))
        if not white.any():
            break
        level = np.log(np.where(white, coarse, 1))
        level -= level[white].mean()
        summed = gaussian_filter(np.where(white, level, 0), wide)
        field_of = summed / np.maximum(gaussian_filter(white.astype(np.float32), wide), 1e-3)
    places = np.meshgrid(
        *(np.arange(count) / step for count, step in zip(brain.shape, steps, strict=True)),
        indexing="ij", sparse=True,
    )  # fmt: skip
    grid = np.broadcast_arrays(*places)
    return np.asarray(np.exp(map_coordinates(field_of, grid, order=1, mode="nearest")), np.float32)


def _thresholds(values: np.ndarray) -> tuple[float, float]:
    """Find what lies half way between the means of three classes; 0 and 0 where there are none."""
    from skimage.filters import threshold_multiotsu

    if not values.size:
        return 0.0, 0.0
    # a few values far away would leave all others in one bin of the histogram
    held = np.clip(values, *np.percentile(values, (0.5, 99.5)))
    try:
        classes = np.digitize(held, threshold_multiotsu(held, 3))
    except ValueError:  # fewer than three values
        return 0.0, 0.0
    counts = np.bincount(classes, minlength=3)
    if not counts.all():
        return 0.0, 0.0
    dark, grey, white = np.bincount(classes, held) / counts
    return float(dark + grey) / 2, float(grey + white) / 2
