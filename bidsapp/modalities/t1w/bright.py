"""Voxels brighter than any tissue: vessels and sinuses full of contrast agent."""

import numpy as np

from bidsapp.modalities.t1w.measures import BRIGHT

# Of the interquartile range above the third quartile of a brain: where Tukey's outliers begin, and
# where white matter ends.
_OUTLIER, _TISSUE = 1.5, 0.5


def bright_share(brain: np.ndarray) -> float:
    """Share of a brain that is brighter than any tissue; 0 where that is below `BRIGHT`.

    Parameters
    ----------
    brain
        Intensities of the voxels of a brain, any shape.
    """
    if not brain.size:
        return 0.0
    share = float(np.mean(brain > _above_tissue(brain, _OUTLIER)))
    return share if share >= BRIGHT else 0.0


def tissue_top(brain: np.ndarray) -> float:
    """Give the intensity above which a brain tells nothing of its anatomy.

    What lies above is cut to it before images are compared: a correlation would hang on some
    vessels. In images without contrast agent it cuts the brightest 3 to 7 % of the brain, all of
    it white matter.

    Parameters
    ----------
    brain
        Intensities of the voxels of a brain, any shape.

    Returns
    -------
    float
        Infinite where there is no voxel.
    """
    return _above_tissue(brain, _TISSUE) if brain.size else float("inf")


def _above_tissue(brain: np.ndarray, ranges: float) -> float:
    low, high = np.percentile(brain, (25, 75))
    return float(high + ranges * (high - low))
