"""Over people and folds: mean, standard error, sign consistency, overlap of the top voxels."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

TOP_SHARE = 0.01
_CHUNK = 16_384


@dataclass(frozen=True)
class Spread:
    """What a group of people's maps look like, voxel by voxel.

    Attributes
    ----------
    mean
        (voxels,) mean over people.
    standard_error
        (voxels,) SD over people (n − 1) by the root of n; NaN for one person.
    sign_consistency
        (voxels,) share of people, 0 to 1, whose map has the sign of the mean; 0 where the mean
        is 0. Maps without a common sign give a little over .5.
    n
        Number of people.
    """

    mean: np.ndarray
    standard_error: np.ndarray
    sign_consistency: np.ndarray
    n: int


def spread(values: np.ndarray) -> Spread:
    """Take mean, standard error and sign consistency over people, (people, voxels).

    Raises
    ------
    ValueError
        If there is nobody.
    """
    n, voxels = values.shape
    if n == 0:
        raise ValueError("a mean over nobody is not defined")
    mean, error, consistency = (np.empty(voxels, np.float32) for _ in range(3))
    for start in range(0, voxels, _CHUNK):
        part = slice(start, start + _CHUNK)
        block = values[:, part].astype(np.float64)
        mean[part] = here = block.mean(axis=0)
        error[part] = block.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.nan
        consistency[part] = np.where(here == 0, 0, (np.sign(block) == np.sign(here)).mean(axis=0))
    return Spread(mean, error, consistency, n)


def count_of(share: float, sizes: np.ndarray) -> int:
    """Tell how many of the first voxels make a share of all, at least one.

    Parameters
    ----------
    share
        0 to 1.
    sizes
        (voxels,) size of each, the first first; of voxels of one size the number is rounded, of
        others it is the one that comes nearest.
    """
    if not len(sizes) or np.all(sizes == sizes[0]):
        return max(1, round(share * len(sizes)))
    reached = np.cumsum(sizes)
    return int(np.argmin(np.abs(reached - share * reached[-1]))) + 1


def top_voxels(
    values: np.ndarray, share: float = TOP_SHARE, sizes: np.ndarray | None = None
) -> np.ndarray:
    """Find the voxels of largest magnitude, a given share of them and at least one.

    Ties at the edge are broken by place, so the number is exact; where every value is 0 there are
    none.

    Parameters
    ----------
    values
        (voxels,) of a map.
    share
        0 to 1, of all that the voxels stand for.
    sizes
        (voxels,) how much each stands for; all the same by default.

    Returns
    -------
    numpy.ndarray
        (voxels,) bool.
    """
    magnitude = np.abs(np.asarray(values, float))
    chosen = np.zeros(magnitude.shape, bool)
    order = np.argsort(-magnitude, kind="stable")
    chosen[order[: count_of(share, np.ones(len(order)) if sizes is None else sizes[order])]] = True
    return chosen & (magnitude > 0)


@dataclass(frozen=True)
class Overlap:
    """How far the folds agree on where the map is strongest.

    Attributes
    ----------
    share
        (voxels,) share of the folds, 0 to 1, that have the voxel among their top.
    dice
        Mean Dice of the pairs of folds; NaN for fewer than two folds.
    by_chance
        Dice of two sets drawn at random, the share of the top itself.
    folds
        Number of folds.
    """

    share: np.ndarray
    dice: float
    by_chance: float
    folds: int


def fold_overlap(
    means: Sequence[np.ndarray], share: float = TOP_SHARE, sizes: np.ndarray | None = None
) -> Overlap:
    """Compare the top voxels of the folds' mean maps, each (voxels,); `sizes` as `top_voxels` does.

    Raises
    ------
    ValueError
        If there is no fold.
    """
    if not means:
        raise ValueError("no fold to compare")
    tops = [top_voxels(mean, share, sizes) for mean in means]
    pairs = [dice(a, b, sizes) for a, b in combinations(tops, 2)]
    return Overlap(
        np.asarray(np.mean(tops, axis=0), np.float32),
        float(np.mean(pairs)) if pairs else float("nan"),
        share,
        len(tops),
    )


def dice(a: np.ndarray, b: np.ndarray, sizes: np.ndarray | None = None) -> float:
    """Dice of two sets of voxels (bool arrays), by their sizes; NaN where both are empty."""
    weights = np.ones(a.shape) if sizes is None else sizes
    size = float(weights[a].sum() + weights[b].sum())
    return 2 * float(weights[a & b].sum()) / size if size else float("nan")
