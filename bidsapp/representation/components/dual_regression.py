"""Dual regression: a group's component maps to one person's time courses and maps."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bidsapp.errors import BadData

Values = Literal["z", "effect", "beta"]
"""What a person's maps hold; see `dual_regression`."""


@dataclass(frozen=True)
class PersonComponents:
    """Components as one person has them.

    Attributes
    ----------
    maps
        float32, shape (C, V): betas in the series' unit per standard deviation of the time
        course, effects, or z values.
    courses
        Time courses, float64, shape (T, C), mean 0 and standard deviation 1.
    amplitudes
        Standard deviations of the time courses before that, shape (C,).
    """

    maps: np.ndarray
    courses: np.ndarray
    amplitudes: np.ndarray


def dual_regression(maps: np.ndarray, series: np.ndarray, values: Values = "z") -> PersonComponents:
    """Regress the group's maps on every volume, then the time courses on every voxel.

    Parameters
    ----------
    maps
        Component maps over the mask, shape (C, V).
    series
        One person's denoised values over the same mask, shape (T, V).
    values
        ``beta``: the second regression's coefficients. ``effect``: those over the standard
        deviation of what no component explains at the voxel; the same whatever the unit and the
        length of the series, and twice as large where a network is twice as strong. ``z``: the
        coefficients over their standard error, t turned to z by their distributions; far from 0
        this grows with the square root of the logarithm of t, so that strong networks look alike.

    Returns
    -------
    PersonComponents

    Raises
    ------
    BadData
        The series has no more volumes than there are components, or does not change.

    Notes
    -----
    Nickerson et al. (2017), doi:10.3389/fnins.2017.00115: volumes and maps are demeaned before
    the first regression, time courses demeaned and variance-normalised before the second.
    """
    count, volumes = len(maps), len(series)
    if volumes <= count + 1:
        raise BadData(
            f"{volumes} volumes cannot be divided among {count} components; at least "
            f"{count + 2} are needed"
        )
    design = _centred(maps.T.astype(np.float64))
    data = np.asarray(series, np.float32)
    data = data - data.mean(axis=0, dtype=np.float64).astype(np.float32)
    square = design.T @ design
    products = data.astype(np.float32) @ design.astype(np.float32)
    courses = np.linalg.solve(square, products.T.astype(np.float64)).T
    courses = _centred(courses)
    amplitudes = courses.std(axis=0)
    if not (amplitudes > 0).all():
        raise BadData("the series does not change over time where a component lies")
    courses /= amplitudes
    return PersonComponents(_second(courses, data, values), courses, amplitudes)


def _second(courses: np.ndarray, data: np.ndarray, values: str) -> np.ndarray:
    """Regress time courses (T, C) on every voxel of `data` (T, V)."""
    inverse = np.linalg.inv(courses.T @ courses)
    weights = inverse @ courses.T
    betas = weights.astype(np.float32) @ data
    if values == "beta":
        return betas
    freedom = len(data) - courses.shape[1] - 1
    total = np.einsum("tv,tv->v", data, data, dtype=np.float64)
    fitted = np.einsum("cv,cd,dv->v", betas, courses.T @ courses, betas, optimize=True)
    noise = np.maximum(total - fitted, 0) / freedom
    if values == "effect":
        spread = np.sqrt(noise).astype(np.float32)
        return np.divide(betas, spread, out=np.zeros_like(betas), where=spread > 0)
    error = np.sqrt(noise * np.diag(inverse)[:, None])
    t = np.divide(betas, error, out=np.zeros(betas.shape), where=error > 0)
    return _z_of_t(t, freedom).astype(np.float32)


def _z_of_t(t: np.ndarray, freedom: int) -> np.ndarray:
    """Turn t to z, by the approximation of Wallace (1959), which also holds far in the tails.

    Source: doi:10.1214/aoms/1177706092; within .5 % of z for 30 degrees of freedom and more.
    """
    scale = (8 * freedom + 1) / (8 * freedom + 3)
    return np.sign(t) * scale * np.sqrt(freedom * np.log1p(t**2 / freedom))


def _centred(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=0)
