"""White matter and ventricles of a normalised T1w brain, for what is no signal of neurons."""

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt

_SAMPLE = 20000
# Beyond this depth below the brain's surface, fluid is that of ventricles, not of sulci.
_DEEP_MM = 12.0
_LEAST_VOXELS = 20
# Of the white matter by thresholds, what the Gaussians find: .75 to .95 in 13 real heads, where it
# lies apart from grey matter; 0 to .68 in 6 of 16 synthetic heads, where one lay between the two.
_ALIKE = (0.7, 1.5)


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
    Three Gaussians over the brain's intensities, a voxel to the most probable; where the bright one
    settled between two tissues, Otsu's two thresholds in their place. aCompCor (Behzadi
    et al. 2007, doi:10.1016/j.neuroimage.2007.04.042) asks for tissue without grey matter in it.
    """
    from skimage.filters import threshold_multiotsu
    from sklearn.mixture import GaussianMixture

    values = t1w[mask].astype(np.float64).reshape(-1, 1)
    drawn = np.random.default_rng(0).choice(len(values), min(len(values), _SAMPLE), replace=False)
    starts = np.percentile(values, (5, 40, 85)).reshape(3, 1)
    mixture = GaussianMixture(3, means_init=starts, random_state=0).fit(values[drawn])
    order = np.argsort(np.argsort(mixture.means_.ravel()))
    found = order[mixture.predict(values)]
    low, high = threshold_multiotsu(values[:, 0], 3)
    share = (found == 2).sum() / max((values > high).sum(), 1)
    if not _ALIKE[0] < share < _ALIKE[1]:
        found = (values[:, 0] > low).astype(int) + (values[:, 0] > high)
    classes = np.full(mask.shape, -1)
    classes[mask] = found
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
