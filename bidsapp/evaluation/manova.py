"""Whether groups of people differ in several numbers at once: one-way MANOVA by Wilks' lambda."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Manova:
    """A one-way multivariate analysis of variance.

    Attributes
    ----------
    wilks
        Share of the generalised variance that lies within the groups, 0 to 1.
    f, p
        Rao's approximation (exact for two groups, three groups, or up to two numbers).
    df
        Degrees of freedom of F, numerator and denominator.
    """

    wilks: float
    f: float
    p: float
    df: tuple[float, float]


def one_way_manova(values: np.ndarray, groups: Sequence[object] | np.ndarray) -> Manova | None:
    """Compare the means of several numbers between groups.

    Rao 1951, as in Rencher 2002, Methods of Multivariate Analysis, 6.1.3; rests on normal
    residuals of one covariance in all groups.

    Parameters
    ----------
    values
        (n, numbers), without gaps.
    groups
        (n,) of each row.

    Returns
    -------
    Manova
        None where there are fewer than two groups, too few rows, or numbers that follow from one
        another.
    """
    from scipy.stats import f as distribution

    names, code = np.unique(np.asarray(groups), return_inverse=True)
    n, number = values.shape
    between, within = len(names) - 1, n - len(names)
    if between < 1 or number < 1 or within <= number:
        return None
    centred = values - values.mean(0)
    centred = centred / np.where(centred.std(0) > 0, centred.std(0), 1)
    residual = centred.copy()
    for group in range(len(names)):
        residual[code == group] -= centred[code == group].mean(0)
    if np.linalg.matrix_rank(residual) < number:
        return None
    (_, inside), (_, total) = (np.linalg.slogdet(one.T @ one) for one in (residual, centred))
    wilks = float(np.exp(inside - total))
    square = number**2 + between**2 - 5
    power = np.sqrt((number**2 * between**2 - 4) / square) if square > 0 else 1.0
    first = number * between
    second = power * (within + between - (number + between + 1) / 2) - (first - 2) / 2
    root = wilks ** (1 / power)
    f = (1 - root) / root * second / first
    return Manova(wilks, float(f), float(distribution.sf(f, first, second)), (first, float(second)))
