"""Whether a head still has its face: how far the front of the head lies behind the brain's."""

from typing import Any

import numpy as np

from bidsapp.modalities.t1w.native.measures import BEHIND_MM, DEPTH_MM

HALF_WIDTH_MM = 20.0
"""Half of the strip about the midline in which the face is looked for."""
LEAST_MM = 25.0
"""Less of a face than this in the field of view says nothing."""
TISSUE = 0.2
"""Of the median intensity of the brain, from which on a smoothed voxel is tissue."""
LEVEL_MM2 = 100.0
"""So much tissue there, in the strip of one level, makes it one with a face."""
_SMOOTH_MM = 3.0
_FRONTAL = 0.25
"""Share of the brain's length that counts as its front."""


def face_share(data: np.ndarray, brain: np.ndarray, affine: np.ndarray) -> float | None:
    """Measure how much of the face is there, as far as the field of view reaches.

    Level by level below the frontal lobes, in a strip about the midline, the foremost tissue is
    looked for. On a head it lies before the brain or little behind its front: forehead, nose,
    lips. Where the face was cut off, it lies far behind. A face that was blurred, or replaced by
    another, is not noticed.

    Parameters
    ----------
    data
        Intensities (x, y, z) in RAS order, air about 0.
    brain
        Brain mask, bool of the same shape.
    affine
        4 × 4, voxel indices to mm; only its voxel sizes are used.

    Returns
    -------
    float or None
        Share of levels with a face, 0 to 1; None where fewer than 25 mm of them are in the field
        of view, or there is nothing outside of the brain, as in an image that came without a
        skull.
    """
    sizes = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    if not brain.any():
        return None
    tissue = tissue_of(data, brain, sizes)
    if _stripped(tissue, brain):
        return None
    x, y, z = _frame(brain, sizes)
    strip = tissue[slice(*x)]
    levels = range(z[0], z[1])
    if len(levels) * sizes[2] < LEAST_MM:
        return None
    front = max(0, round(y - BEHIND_MM / sizes[1]))
    fewest = LEVEL_MM2 / (sizes[0] * sizes[1])
    there = [np.count_nonzero(strip[:, front:, level]) >= fewest for level in levels]
    return float(np.mean(there))


def tissue_of(data: np.ndarray, brain: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Tell tissue of any kind from air, bool of the same shape.

    Parameters
    ----------
    data, brain
        Intensities, air about 0, and brain mask, (x, y, z).
    sizes
        (3,) voxel sizes in mm.
    """
    from scipy.ndimage import gaussian_filter

    middle = float(np.median(data[brain])) if brain.any() else 0.0
    smooth = gaussian_filter(np.asarray(data, np.float32), _SMOOTH_MM / 2.355 / sizes)
    return np.asarray(smooth > TISSUE * middle)


def _stripped(tissue: np.ndarray, brain: np.ndarray) -> bool:
    """Whether there is hardly any tissue outside of the brain."""
    return int(np.count_nonzero(tissue & ~brain)) < 0.2 * int(np.count_nonzero(brain))


def _frame(brain: np.ndarray, sizes: np.ndarray) -> tuple[tuple[int, int], int, tuple[int, int]]:
    """Strip about the midline, front of the brain, and the levels below the frontal lobes."""
    places: Any = np.nonzero(brain)
    middle, half = float(np.mean(places[0])), HALF_WIDTH_MM / sizes[0]
    x = max(0, round(middle - half)), round(middle + half) + 1
    back, front = (float(np.percentile(places[1], q)) for q in (0.5, 99.5))
    frontal = places[1] > front - _FRONTAL * (front - back)
    bottom = float(np.percentile(places[2][frontal], 1))
    low = max(0, round(bottom - DEPTH_MM / sizes[2]))
    return x, round(front), (low, max(low, round(bottom - 10.0 / sizes[2])))
