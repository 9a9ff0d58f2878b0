"""Match component maps with a template's, or with another fold's, beside what chance reaches."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

# Left and right are nearly alike in a brain: a null turns it front to back or upside down as well.
_FLIPS = ((1,), (2,), (1, 2), (0, 1), (0, 2), (0, 1, 2))
# Of the mask, what has to be left where a flipped map is compared.
_SHARED = 0.3


@dataclass(frozen=True)
class Match:
    """Which component goes with which map of a reference.

    Attributes
    ----------
    components, references
        Numbers of the pairs, by ascending number of the reference, each shape (P,); P is the
        smaller of both counts.
    r
        Correlation over the mask of each pair, with its sign, shape (P,).
    null
        The largest ``|r|`` of any component with the same map of the reference when that is
        flipped, shape (P,): what a map that is as smooth, at a wrong place, reaches.
    """

    components: np.ndarray
    references: np.ndarray
    r: np.ndarray
    null: np.ndarray

    @property
    def above_null(self) -> np.ndarray:
        """Whether a pair is more alike than its null; only then may it be named. Shape (P,)."""
        return np.abs(self.r) > self.null


def match(maps: np.ndarray, reference: np.ndarray, mask: np.ndarray) -> Match:
    """Pair components with a reference's, so that the sum of ``|r|`` is as large as can be.

    Parameters
    ----------
    maps
        Component maps over the mask, shape (C, V).
    reference
        Maps over the same mask, shape (R, V).
    mask
        Booleans, shape (X, Y, Z), V of them true.

    Returns
    -------
    Match
    """
    r = correlations(maps, reference)
    rows, columns = linear_sum_assignment(-np.abs(r))
    order = np.argsort(columns)
    rows, columns = rows[order], columns[order]
    null = np.zeros(len(reference))
    for axes in _FLIPS:
        turned, inside = flipped(reference, mask, axes)
        if inside.mean() >= _SHARED:
            there = np.abs(correlations(maps[:, inside], turned[:, inside]))
            null = np.maximum(null, there.max(axis=0))
    return Match(rows, columns, r[rows, columns], null[columns])


def flipped(
    maps: np.ndarray, mask: np.ndarray, axes: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Flip maps within the box around the mask.

    Parameters
    ----------
    maps
        Values over the mask, shape (R, V).
    mask
        Booleans, shape (X, Y, Z).
    axes
        Of the grid, 0 to 2.

    Returns
    -------
    turned
        The flipped maps over the mask, shape (R, V); 0 where nothing was.
    inside
        Voxels of the mask whose values come from within the mask, shape (V,).
    """
    found = np.argwhere(mask)
    box = tuple(
        slice(low, high + 1) for low, high in zip(found.min(axis=0), found.max(axis=0), strict=True)
    )
    numbers = np.full(mask.shape, -1)
    numbers[mask] = np.arange(len(found))
    sources = numbers.copy()
    sources[box] = np.flip(numbers[box], axes)
    taken = sources[mask]
    inside = taken >= 0
    return np.where(inside, maps[:, taken], 0), inside


def correlations(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Correlate every map of one set with every one of the other; a constant map gives 0.

    Parameters
    ----------
    one, two
        Shapes (C, V) and (R, V).

    Returns
    -------
    numpy.ndarray
        float64, shape (C, R), -1 to 1.
    """
    return _normed(one) @ _normed(two).T


def _normed(maps: np.ndarray) -> np.ndarray:
    centred = maps.astype(np.float64) - maps.mean(axis=1, keepdims=True, dtype=np.float64)
    length = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
