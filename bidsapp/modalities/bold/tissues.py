"""White matter and ventricles of a normalised T1w brain, for what is no signal of neurons."""

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt

_SAMPLE = 20000
# Beyond this depth below the brain's surface, fluid is that of ventricles, not of sulci.
_DEEP_MM = 12.0
_LEAST_VOXELS = 20


def tissue_masks(
    t1w: np.ndarray, mask: np.ndarray, voxel_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Find white matter and the fluid of the ventricles, each away from grey matter.

    Parameters
    ----------
    t1w
        Brain on the output grid, 0 outside, shape (X, Y, Z).
    mask
        The brain, booleans.
    voxel_mm
        Size of the grid's voxels.

    Returns
    -------
    white, fluid
        Booleans; white matter eroded by 4 mm, fluid by one voxel where enough is left.

    Notes
    -----
    Three Gaussians over the brain's intensities, a voxel to the most probable; aCompCor (Behzadi
    et al. 2007, doi:10.1016/j.neuroimage.2007.04.042) asks for tissue without grey matter in it.
    """
    from sklearn.mixture import GaussianMixture

    values = t1w[mask].astype(np.float64).reshape(-1, 1)
    drawn = np.random.default_rng(0).choice(len(values), min(len(values), _SAMPLE), replace=False)
    starts = np.percentile(values, (5, 40, 85)).reshape(3, 1)
    mixture = GaussianMixture(3, means_init=starts, random_state=0).fit(values[drawn])
    order = np.argsort(np.argsort(mixture.means_.ravel()))
    classes = np.full(mask.shape, -1)
    classes[mask] = order[mixture.predict(values)]
    deep = distance_transform_edt(mask) * voxel_mm > _DEEP_MM
    steps = max(1, round(4 / voxel_mm))
    return _eroded(classes == 2, steps), _eroded((classes == 0) & deep, 1)


def _eroded(tissue: np.ndarray, steps: int) -> np.ndarray:
    """Erode as often as leaves enough to average over."""
    for count in range(steps, 0, -1):
        found = binary_erosion(tissue, iterations=count)
        if np.count_nonzero(found) >= _LEAST_VOXELS:
            return np.asarray(found)
    return tissue
