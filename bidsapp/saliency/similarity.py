"""How alike two maps are."""

import numpy as np

from bidsapp.saliency.aggregate import top_voxels


def rank_correlation(a: np.ndarray, b: np.ndarray, sizes: np.ndarray | None = None) -> float:
    """Spearman's correlation of two maps, (voxels,); NaN where one is constant.

    Where voxels are of several sizes, each counts as often as it is large, in ranks and means.
    """
    from scipy.stats import rankdata

    if a.size < 3:
        return float("nan")
    if sizes is None or np.all(sizes == sizes[0]):
        x, y = (rankdata(v).astype(np.float64) - (v.size + 1) / 2 for v in (a, b))
        weights = np.ones(a.size)
    else:
        weights = sizes / sizes.mean()
        x, y = (_weighted_ranks(v, weights) for v in (a, b))
    norm = np.sqrt((x @ (x * weights)) * (y @ (y * weights)))
    return float(x @ (y * weights) / norm) if norm > 0 else float("nan")


def _weighted_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Ranks about 0: the weight below each voxel and half of the weight that is level with it."""
    code = np.unique(values, return_inverse=True)[1].ravel()
    level = np.bincount(code, weights)
    ranks = (np.cumsum(level) - level / 2)[code]
    return ranks - np.average(ranks, weights=weights)


def top_overlap(
    a: np.ndarray, b: np.ndarray, share: float = 0.1, sizes: np.ndarray | None = None
) -> float:
    """Share of their strongest voxels that two maps have in common, with their signs.

    Parameters
    ----------
    a, b
        (voxels,).
    share
        Of the voxels, those of largest magnitude.
    sizes
        (voxels,) how much each stands for; all the same by default.

    Returns
    -------
    float
        -1 to 1: voxels that are among the strongest of both with one sign, less those with
        opposite signs, over the number of the strongest; 0 is expected of maps that have nothing
        to do with each other. NaN where a map is 0 everywhere.
    """
    weights = np.ones(a.shape) if sizes is None else sizes
    tops = [top_voxels(values, share, weights) for values in (a, b)]
    size = max(float(weights[top].sum()) for top in tops)
    if not all(top.any() for top in tops):
        return float("nan")
    both = tops[0] & tops[1]
    return float((np.sign(a[both]) * np.sign(b[both]) * weights[both]).sum() / size)


def structural_similarity(
    a: np.ndarray, b: np.ndarray, inside: np.ndarray, sizes: np.ndarray
) -> float:
    """SSIM of two maps, each first scaled to unit SD, mean over the voxels of a mask.

    Wang et al. 2004, with a window of 7 voxels each way and their constants (.01 and .03) for a
    dynamic range of 6 SD.

    Parameters
    ----------
    a, b
        (x, y[, z]), 0 outside the mask.
    inside
        Bool of that shape.
    sizes
        (voxels of the mask,) their weights in the mean.
    """
    from scipy.ndimage import uniform_filter

    if not inside.any() or not (a[inside].std() > 0 and b[inside].std() > 0):
        return float("nan")
    x, y = (np.asarray(v, np.float64) / v[inside].std() for v in (a, b))
    c1, c2 = (0.01 * 6) ** 2, (0.03 * 6) ** 2
    mx, my = uniform_filter(x, 7), uniform_filter(y, 7)
    vx, vy = uniform_filter(x * x, 7) - mx**2, uniform_filter(y * y, 7) - my**2
    covariance = uniform_filter(x * y, 7) - mx * my
    index = (2 * mx * my + c1) * (2 * covariance + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return float((index[inside] * sizes).mean() / sizes.mean())
