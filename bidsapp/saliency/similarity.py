"""How alike two maps are."""

from collections.abc import Sequence

import numpy as np

from bidsapp.saliency.aggregate import top_voxels


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation of two maps, (voxels,); NaN where one is constant."""
    from scipy.stats import rankdata

    if a.size < 3:
        return float("nan")
    x, y = (rankdata(v).astype(np.float64) - (v.size + 1) / 2 for v in (a, b))
    norm = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / norm) if norm > 0 else float("nan")


def top_overlap(a: np.ndarray, b: np.ndarray, share: float = 0.1) -> float:
    """Share of their strongest voxels that two maps have in common, with their signs.

    Parameters
    ----------
    a, b
        (voxels,).
    share
        Of the voxels, those of largest magnitude.

    Returns
    -------
    float
        -1 to 1: voxels that are among the strongest of both with one sign, less those with
        opposite signs, over the number of the strongest; 0 is expected of maps that have nothing
        to do with each other. NaN where a map is 0 everywhere.
    """
    tops = [top_voxels(values, share) for values in (a, b)]
    size = max(int(top.sum()) for top in tops)
    if not all(top.any() for top in tops):
        return float("nan")
    both = tops[0] & tops[1]
    return float((np.sign(a[both]) * np.sign(b[both])).sum() / size)


def structural_similarity(a: np.ndarray, b: np.ndarray, inside: np.ndarray) -> float:
    """SSIM of two maps, each first scaled to unit SD, mean over the voxels of a mask.

    Wang et al. 2004, with a cubic window of 7 voxels and their constants (.01 and .03) for a
    dynamic range of 6 SD.

    Parameters
    ----------
    a, b
        (x, y, z), 0 outside the mask.
    inside
        (x, y, z) bool.
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
    return float(index[inside].mean())


def edges(image: np.ndarray, zooms: Sequence[float], fwhm_mm: float = 4.0) -> np.ndarray:
    """Magnitude of an image's gradient, after smoothing by `fwhm_mm`; shape of the image."""
    from scipy.ndimage import gaussian_gradient_magnitude

    sigma = [fwhm_mm / np.sqrt(8 * np.log(2)) / zoom for zoom in zooms]
    return gaussian_gradient_magnitude(np.asarray(image, np.float32), sigma)
