"""Spatial ICA of whitened data from several random starts, and how stable its components are."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.stats import skew

# Every start draws so many voxels at most; the last run sees all of them.
_SAMPLED = 16384
_ITERATIONS, _TOLERANCE = 500, 1e-4


@dataclass(frozen=True)
class Sources:
    """Independent components of the fold's data.

    Attributes
    ----------
    maps
        float32, shape (C, V), mean 0 and variance 1 over voxels, with the long tail on the
        positive side; the most stable first.
    unmixing
        float64, shape (C, C): `maps` from the whitened data.
    stability
        Quality index of each over the starts (Himberg et al. 2004), shape (C,): 1 where every
        start found it, small where it is an accident of start and sample. NaN with one start.
    settled
        Whether the last run converged.
    """

    maps: np.ndarray
    unmixing: np.ndarray
    stability: np.ndarray
    settled: bool


def independent_sources(data: np.ndarray, seed: int | tuple[int, ...], starts: int = 10) -> Sources:
    """Find independent components by FastICA from random starts of one's own.

    Every start runs on voxels that it draws with replacement; the estimates are clustered, and
    the middle of every cluster is the beginning of one run over all voxels. All of it comes from
    `data` and `seed`: nothing is handed on from another fold.

    Parameters
    ----------
    data
        Whitened images over the mask, float32, shape (C, V).
    seed
        Of the starts and of the voxels drawn, such as (recipe's seed, fold).
    starts
        Number of random starts.

    Returns
    -------
    Sources

    Notes
    -----
    Hyvärinen (1999), doi:10.1109/72.761722, symmetric, log cosh; clustering and quality index as
    ICASSO: Himberg et al. (2004), doi:10.1016/j.neuroimage.2004.03.027. In whitened data the
    correlation of two estimates is the scalar product of their rows of the unmixing matrices.
    """
    count, voxels = data.shape
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(starts):
        start = np.linalg.qr(generator.standard_normal((count, count)))[0]
        drawn = np.sort(generator.integers(0, voxels, min(voxels, _SAMPLED)))
        rows.append(_fast_ica(data[:, drawn], start)[0])
    first, stability = _clustered(np.concatenate(rows), count) if starts > 1 else (rows[0], None)
    unmixing, settled = _fast_ica(data, first)
    maps = unmixing.astype(np.float32) @ data
    sign = np.where(skew(maps, axis=1) < 0, -1, 1)
    if stability is None:
        order, stability = np.arange(count), np.full(count, np.nan)
    else:
        order = np.argsort(-stability, kind="stable")
    unmixing = (unmixing * sign[:, None])[order]
    return Sources(unmixing.astype(np.float32) @ data, unmixing, stability[order], settled)


def _fast_ica(data: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, bool]:
    from sklearn.decomposition import fastica
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        _, unmixing, _ = fastica(
            data.T,
            whiten=False,
            w_init=start.astype(data.dtype),
            max_iter=_ITERATIONS,
            tol=_TOLERANCE,
        )
    settled = not any(issubclass(warning.category, ConvergenceWarning) for warning in told)
    return np.asarray(unmixing, np.float64), settled


def _clustered(rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Cluster estimates by average linkage; give the clusters' middles, orthogonal, and quality."""
    alike = np.minimum(np.abs(rows @ rows.T), 1)
    np.fill_diagonal(alike, 1)
    distances = squareform(1 - (alike + alike.T) / 2, checks=False)
    cluster = fcluster(linkage(distances, "average"), count, "maxclust")
    middles, quality = [], []
    for number in np.unique(cluster):
        inside = cluster == number
        within = alike[np.ix_(inside, inside)]
        middles.append(rows[inside][within.sum(axis=0).argmax()])
        quality.append(within.mean() - alike[np.ix_(inside, ~inside)].mean())
    while len(middles) < count:  # ties: a cluster fewer than asked for
        middles.append(_orthogonal_rest(np.array(middles)))
        quality.append(0.0)
    left, _, right = np.linalg.svd(np.array(middles))
    return left @ right, np.array(quality)


def _orthogonal_rest(rows: np.ndarray) -> np.ndarray:
    return np.linalg.svd(rows)[2][-1]
