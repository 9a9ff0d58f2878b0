"""How well a map finds a place that is known: for planted signals and regions of interest."""

from dataclasses import asdict, dataclass

import numpy as np

from bidsapp.saliency.aggregate import TOP_SHARE, dice, top_voxels


@dataclass(frozen=True)
class Localisation:
    """How a map lies to a region.

    Attributes
    ----------
    top_share_inside
        Share of the top voxels that are inside the region, 0 to 1.
    by_chance
        The region's share of the voxels: what a map without information gives.
    best_possible
        The largest that `top_share_inside` could be, below 1 where the region is smaller than
        the top.
    pointing
        Whether the voxel of largest magnitude is inside.
    distance_mm
        From the centre of mass of the top voxels to that of the region.
    dice
        Of the region and as many top voxels as it has.
    auc
        Chance that a voxel inside has a larger magnitude than one outside; .5 by chance.
    mass_inside
        Share of the sum of magnitudes inside.
    """

    top_share_inside: float
    by_chance: float
    best_possible: float
    pointing: bool
    distance_mm: float
    dice: float
    auc: float
    mass_inside: float

    def plain(self) -> dict[str, float | bool]:
        """For a table."""
        return asdict(self)


def top_share_inside(
    values: np.ndarray, region: np.ndarray, inside: np.ndarray, top: float = TOP_SHARE
) -> float:
    """Share of a map's top voxels that lie in a region; NaN where the map is 0 throughout.

    Parameters
    ----------
    values
        Map of any shape.
    region, inside
        bool of the same shape: where the signal is, and which voxels count (mask and window).
    top
        Share of the voxels that are the top, by magnitude.
    """
    chosen = top_voxels(values[inside], top)
    return float(region[inside][chosen].mean()) if chosen.any() else float("nan")


def localise(
    values: np.ndarray,
    region: np.ndarray,
    inside: np.ndarray,
    affine: np.ndarray,
    top: float = TOP_SHARE,
) -> Localisation:
    """Measure how well a map finds a region.

    Parameters
    ----------
    values
        (X, Y, Z) map.
    region
        (X, Y, Z) bool, the place that is known.
    inside
        (X, Y, Z) bool, the voxels that count: mask and window.
    affine
        4 × 4, voxel index to mm.
    top
        Share of the voxels that are the top, by magnitude.

    Raises
    ------
    ValueError
        If shapes differ, or the region has no voxel, or every voxel, of those that count.
    """
    if not values.shape == region.shape == inside.shape:
        raise ValueError(f"shapes differ: {values.shape}, {region.shape}, {inside.shape}")
    own = np.asarray(region, bool)[inside]
    if not own.any() or own.all():
        raise ValueError("the region must have some, and not all, of the voxels that count")
    magnitude = np.abs(np.asarray(values, float)[inside])
    chosen = top_voxels(magnitude, top)
    points = np.argwhere(inside) @ affine[:3, :3].T + affine[:3, 3]
    nan = float("nan")
    some = chosen.any()
    away = points[chosen].mean(axis=0) - points[own].mean(axis=0) if some else np.full(3, nan)
    total = float(magnitude.sum())
    return Localisation(
        float(own[chosen].mean()) if some else nan,
        float(own.mean()),
        min(1.0, float(own.sum() / max(1, round(top * own.size)))),
        bool(some and own[np.argmax(magnitude)]),
        float(np.linalg.norm(away)),
        dice(own, top_voxels(magnitude, own.mean())) if some else nan,
        _auc(magnitude, own),
        float(magnitude[own].sum()) / total if total else nan,
    )


def peak_dice(
    one: np.ndarray, other: np.ndarray, inside: np.ndarray, top: float = TOP_SHARE
) -> float:
    """Dice of the top voxels of two maps of the same shape, among the voxels that count."""
    return dice(top_voxels(one[inside], top), top_voxels(other[inside], top))


def _auc(magnitude: np.ndarray, own: np.ndarray) -> float:
    from scipy.stats import rankdata

    ranks = rankdata(magnitude)
    n = int(own.sum())
    return float((ranks[own].sum() - n * (n + 1) / 2) / (n * (own.size - n)))
