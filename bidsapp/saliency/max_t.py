"""Voxelwise test of one variable with covariates by permutation, corrected by the largest |t|."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bidsapp.contracts.space import Space, relative_sizes
from bidsapp.errors import BadData

# Both blocks of a product stay in a core's cache, and memory does not grow with either number.
_VOXELS = 4096
_PERMUTATIONS = 256
_TINY = 1e-12


@dataclass(frozen=True)
class MaxT:
    """A test at every voxel.

    Attributes
    ----------
    t
        (voxels,) t of the tested variable, float32; 0 where a voxel does not vary.
    p_fwe
        (voxels,) two-sided p corrected over the voxels: ``(1 + #{null >= |t|}) / (N + 1)``.
    null
        (permutations,) the largest |t| of each permutation.
    df
        Residual degrees of freedom.
    tfce, p_tfce
        The same for an enhancement, where one was given; else None.
    """

    t: np.ndarray
    p_fwe: np.ndarray
    null: np.ndarray
    df: int
    tfce: np.ndarray | None = None
    p_tfce: np.ndarray | None = None


Enhancement = Callable[[np.ndarray], np.ndarray]
"""From (voxels,) t to (voxels,) enhanced values of the same sign."""


def max_t(
    values: np.ndarray,
    tested: np.ndarray,
    nuisance: np.ndarray | None = None,
    *,
    permutations: int = 1000,
    blocks: np.ndarray | None = None,
    rng: np.random.Generator,
    enhance: Enhancement | None = None,
) -> MaxT:
    """Regress every voxel on a variable and covariates, and permute after Freedman and Lane.

    The residuals of the model without the tested variable are permuted and the whole model is
    fitted again (Freedman & Lane 1983, doi:10.1080/07350015.1983.10509354; Winkler et al. 2014,
    doi:10.1016/j.neuroimage.2014.01.060). The largest |t| over voxels controls the family-wise
    error. With `blocks`, rows change place only within their block, and each block has an
    intercept of its own.

    Residuals are scaled to length 1 once. A permutation then needs only the products of the
    permuted design with them, a matrix product for many permutations at a time: with ``x`` the
    tested variable made orthogonal to the covariates ``Q``, ``r = x'Py / sqrt(1 - |Q'Py|²)``
    and ``t = r sqrt(df / (1 - r²))``.

    Parameters
    ----------
    values
        (n, voxels), finite.
    tested
        (n,) the variable.
    nuisance
        (n, k) covariates; an intercept is always there.
    permutations
        Number of random permutations.
    blocks
        (n,) exchangeability blocks.
    rng
        Draws the permutations.
    enhance
        Applied to the t map of the data and of every permutation (TFCE for instance).

    Raises
    ------
    BadData
        If no degree of freedom is left, or the variable is a combination of the covariates.
    """
    fit = _fit(values, tested, nuisance, blocks)
    unit, residuals, df, t = fit.unit, fit.residuals, fit.df, fit.t
    moving = _moving(fit.design, len(values), blocks)
    orders = _orders(len(values), permutations, blocks, rng)
    if enhance is None:
        null = _t_of(np.sqrt(_largest(residuals, unit, moving, orders)), df)
        return MaxT(t, corrected_p(np.abs(t), null), null, df)
    null, null_enhanced = np.zeros(permutations), np.zeros(permutations)
    for number, permuted_r in enumerate(_permuted(residuals, unit, moving, orders)):
        one = _t_of(permuted_r, df)
        null[number] = np.abs(one).max(initial=0)
        null_enhanced[number] = np.abs(enhance(one)).max(initial=0)
    enhanced = enhance(t)
    p_enhanced = corrected_p(np.abs(enhanced), null_enhanced)
    return MaxT(t, corrected_p(np.abs(t), null), null, df, enhanced, p_enhanced)


def voxel_t(
    values: np.ndarray,
    tested: np.ndarray,
    nuisance: np.ndarray | None = None,
    blocks: np.ndarray | None = None,
) -> tuple[np.ndarray, int]:
    """Give t of a variable at every voxel, (voxels,) float32, and its degrees of freedom.

    Parameters and errors as of `max_t`, which permutes the same.
    """
    fit = _fit(values, tested, nuisance, blocks)
    return fit.t, fit.df


@dataclass(frozen=True)
class _Fit:
    """A design with a tested column of length 1, and residuals of length 1 at every voxel."""

    design: np.ndarray
    unit: np.ndarray
    residuals: np.ndarray
    df: int
    t: np.ndarray


def _fit(
    values: np.ndarray,
    tested: np.ndarray,
    nuisance: np.ndarray | None,
    blocks: np.ndarray | None,
) -> _Fit:
    n = len(values)
    design = _basis(n, nuisance, blocks)
    x = np.asarray(tested, float)
    residual_x = x - design @ (design.T @ x)
    length = float(np.linalg.norm(residual_x))
    df = n - design.shape[1] - 1
    if df < 1:
        raise BadData(
            f"{n} people and {design.shape[1]} columns of intercepts and covariates leave no "
            "degree of freedom for the test"
        )
    if length < 1e-8 * max(float(np.linalg.norm(x)), 1.0):
        raise BadData("the tested variable is constant, or a combination of the covariates")
    unit = residual_x / length
    residuals = _unit_residuals(values, design)
    r = unit @ residuals.astype(np.float64) if n * residuals.shape[1] < 1e6 else unit @ residuals
    t = _t_of(np.asarray(r, np.float64), df).astype(np.float32)
    return _Fit(design, unit, residuals, df, t)


def corrected_p(observed: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Give ``(1 + #{null >= observed}) / (N + 1)``, float32; equal up to rounding counts as equal.

    Phipson & Smyth 2010 (doi:10.2202/1544-6115.1585): never 0.
    """
    ordered = np.sort(null)
    below = np.searchsorted(ordered, np.asarray(observed, float) * (1 - 1e-5), side="left")
    return ((1 + len(ordered) - below) / (len(ordered) + 1)).astype(np.float32)


def _basis(n: int, nuisance: np.ndarray | None, blocks: np.ndarray | None) -> np.ndarray:
    """Orthonormal columns (n, k) that span the intercepts, those first, and the covariates."""
    if blocks is None:
        intercepts = np.full((n, 1), 1 / np.sqrt(n))
    else:
        codes = np.unique(blocks, return_inverse=True)[1]
        dummies = np.eye(int(codes.max()) + 1)[codes]
        intercepts = dummies / np.sqrt(dummies.sum(axis=0))
    if nuisance is None or not nuisance.size:
        return intercepts
    rest = np.asarray(nuisance, float) - nuisance.mean(axis=0)
    rest = rest / np.where(rest.std(axis=0) > 0, rest.std(axis=0), 1)
    rest = rest - intercepts @ (intercepts.T @ rest)
    u, singular, _ = np.linalg.svd(rest, full_matrices=False)
    return np.hstack([intercepts, u[:, singular > 1e-8 * np.sqrt(n)]])


def _moving(design: np.ndarray, n: int, blocks: np.ndarray | None) -> np.ndarray:
    """Columns whose product with permuted residuals is not 0: all but the intercepts.

    Residuals add up to 0 in each block, and still do when they change place within it.
    """
    fixed = 1 if blocks is None else len(np.unique(blocks))
    return np.asarray(design[:, fixed:])


def _unit_residuals(values: np.ndarray, design: np.ndarray) -> np.ndarray:
    """(n, voxels) float32: residuals of length 1, and 0 where a voxel does not vary."""
    result = np.empty(values.shape, np.float32)
    for start in range(0, values.shape[1], _VOXELS):
        part = slice(start, start + _VOXELS)
        block = np.asarray(values[:, part], np.float64)
        size = np.linalg.norm(block, axis=0)
        block = block - design @ (design.T @ block)
        length = np.linalg.norm(block, axis=0)
        varies = length > 1e-6 * size
        result[:, part] = block * (varies / np.where(varies, length, 1))
    return result


def _orders(
    n: int, permutations: int, blocks: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """(permutations, n) which row takes each place."""
    if blocks is None:
        return rng.permuted(np.tile(np.arange(n), (permutations, 1)), axis=1)
    orders = np.empty((permutations, n), int)
    for block in np.unique(blocks):
        rows = np.flatnonzero(blocks == block)
        orders[:, rows] = rng.permuted(np.tile(rows, (permutations, 1)), axis=1)
    return orders


def _largest(
    residuals: np.ndarray, unit: np.ndarray, moving: np.ndarray, orders: np.ndarray
) -> np.ndarray:
    """(permutations,) the largest r² over the voxels."""
    largest = np.zeros(len(orders))
    for first in range(0, len(orders), _PERMUTATIONS):
        here = slice(first, first + _PERMUTATIONS)
        designs = _designs(unit, moving, orders[here])
        for start in range(0, residuals.shape[1], _VOXELS):
            squared = _squared_r(designs, residuals[:, start : start + _VOXELS])
            np.maximum(largest[here], squared.max(axis=1), out=largest[here])
    return largest


def _designs(unit: np.ndarray, moving: np.ndarray, orders: np.ndarray) -> list[np.ndarray]:
    """Move the tested variable and each covariate, (permutations, n) float32, to the residuals.

    Permuting residuals by an order and multiplying by the design is multiplying the residuals by
    the design permuted the other way round; both are drawn alike, so orders are used as they are.
    """
    columns = [unit, *moving.T]
    return [np.ascontiguousarray(column[orders], np.float32) for column in columns]


def _squared_r(designs: list[np.ndarray], residuals: np.ndarray) -> np.ndarray:
    """(permutations, voxels) r²."""
    squared = np.square(designs[0] @ residuals)
    if len(designs) > 1:
        left = np.ones_like(squared)
        for design in designs[1:]:
            product = design @ residuals
            np.multiply(product, product, out=product)
            left -= product
        np.divide(squared, np.maximum(left, _TINY), out=squared)
    return np.minimum(squared, 1, out=squared)


def _permuted(
    residuals: np.ndarray, unit: np.ndarray, moving: np.ndarray, orders: np.ndarray
) -> Iterator[np.ndarray]:
    """Yield (voxels,) r of one permutation after the other, float64."""
    chunk = 8
    for first in range(0, len(orders), chunk):
        designs = _designs(unit, moving, orders[first : first + chunk])
        r = designs[0] @ residuals
        left = np.ones_like(r)
        for design in designs[1:]:
            left -= np.square(design @ residuals)
        yield from np.clip(r / np.sqrt(np.maximum(left, _TINY)), -1, 1).astype(np.float64)


def _t_of(r: np.ndarray, df: int) -> np.ndarray:
    return r * np.sqrt(df / np.maximum(1 - r**2, _TINY))


class ClusterEnhancement:
    """TFCE of maps inside one mask (Smith & Nichols 2009, doi:10.1016/j.neuroimage.2008.03.061).

    ``sum over h of extent(h)^0.5 * h^2 * step``, h in steps up to the map's height, extent the
    size of the cluster (of 26 neighbours of a voxel, 8 of a pixel) that holds the voxel, in voxels
    of mean size; positive and negative clusters apart. The step is fixed, so that permutations are
    on one scale.

    Parameters
    ----------
    space
        Where the maps lie.
    inside
        Bool of its shape.
    step
        Step of the height, in units of t.
    """

    def __init__(
        self,
        space: Space,
        inside: np.ndarray,
        step: float = 0.2,
        extent: float = 0.5,
        height: float = 2.0,
    ) -> None:
        self._clusters = space.clusters(inside)
        self._sizes = relative_sizes(space, inside)
        self._step, self._extent, self._height = step, extent, height

    def __call__(self, t: np.ndarray) -> np.ndarray:
        """Enhance (voxels,) t; the result has its sign, float32."""
        magnitude = np.abs(t)
        enhanced = np.zeros(len(t), np.float64)
        sides = np.where(t > 0, 1, 2).astype(np.uint8)
        steps = int(np.floor(magnitude.max(initial=0) / self._step + 1e-9))
        above = np.flatnonzero(magnitude >= self._step * (1 - 1e-9))
        for number in range(1, steps + 1):
            height = number * self._step
            above = above[magnitude[above] >= height * (1 - 1e-9)]
            own = self._clusters(above, sides[above])
            sizes = np.bincount(own, self._sizes[above])
            gain = np.power(sizes, self._extent) * (height**self._height * self._step)
            enhanced[above] += gain[own]
        return (np.sign(t) * enhanced).astype(np.float32)
