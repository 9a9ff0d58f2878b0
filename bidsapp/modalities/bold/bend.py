"""A series bent along its phase onto the boundary of white matter, where nothing tells the field.

As a series is brought onto that boundary as a whole (`boundary`), so is each part of it, by as much
as a smooth field may displace it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from bidsapp.execution.compute import threads
from bidsapp.modalities.bold.boundary import (
    both_sides,
    contrast_across,
    cost_of,
    least_signal,
)
from bidsapp.modalities.bold.splines import fit_splines
from bidsapp.modalities.bold.susceptibility import Displacement, fitted
from bidsapp.modalities.bold.white_matter import Boundary

# Chosen on six labelled heads: with knots of 14 or 20 mm, or less stiff, heads without a field were
# bent by .4 to .7 mm in place of .3.
_KNOTS_MM, _STIFF, _FWHM_MM = 28.0, 2.0, (6.0, 3.0)
# How many times as much as a bend across the phase has to lower the cost. Of these heads without a
# field it was .56 to .92 times, of synthetic ones up to 1.11; with a field of 12 mm 1.6 to 2.4 in
# five heads and .96 in one.
_MORE = 1.15


@dataclass(frozen=True)
class Bend:
    """A bend along the phase, and what it gained.

    Attributes
    ----------
    displacement
        Along the phase.
    gained
        By how much it lowers the boundary's cost (`cost_of`).
    across
        By how much a bend across the phase does, where no field bends: what any bend gains.
    """

    displacement: Displacement
    gained: float
    across: float

    @property
    def improves(self) -> bool:
        """Whether it gains clearly more than any bend does."""
        return self.gained > _MORE * self.across


def bend_onto(
    reference: np.ndarray,
    affine: np.ndarray,
    boundary: Boundary,
    to_series: np.ndarray,
    axis: int,
    across: int,
) -> Bend:
    """Bend a mean volume along its phase so that its contrast across the boundary is largest.

    Parameters
    ----------
    reference
        Mean volume, shape (X, Y, Z).
    affine
        Its 4 × 4.
    boundary
        Of white matter in the T1w image.
    to_series
        Where that lies in the series: 4 × 4, RAS mm to RAS mm.
    axis
        Of the phase.
    across
        Of the read-out, along which no field bends.
    """
    points = boundary.points @ to_series[:3, :3].T + to_series[:3, 3]
    sides = both_sides(points, boundary.outwards @ to_series[:3, :3].T)
    back = np.linalg.inv(affine)
    middle, at = (one @ back[:3, :3].T + back[:3, 3] for one in (points, sides))
    with threads(1):  # sums over points would depend on how many threads share them
        moved, gained = _bent(reference, affine, middle, at, axis)
        _, control = _bent(reference, affine, middle, at, across)
    return Bend(Displacement(moved, axis), gained, control)


def _bent(
    reference: np.ndarray, affine: np.ndarray, middle: np.ndarray, at: np.ndarray, axis: int
) -> tuple[np.ndarray, float]:
    """Fit a bend along one axis: voxels of displacement (X, Y, Z), and what it gains."""
    sizes = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    read = _Read(np.append(np.delete(middle, axis, axis=1), middle[:, [axis]], axis=1))
    sides = torch.as_tensor(at, dtype=torch.float32)
    along = torch.nn.functional.one_hot(torch.tensor(axis), 3).float()
    least = least_signal(reference)

    def costs(fwhm: float) -> Callable[[torch.Tensor], torch.Tensor]:
        splines = fit_splines(reference[None], torch.device("cpu"), sizes, fwhm)

        def cost(moved: torch.Tensor) -> torch.Tensor:
            there = sides + read(moved)[:, None] * along
            return cost_of(*contrast_across(splines, there, least))

        return cost

    moved = fitted(
        costs, reference.shape, sizes, axis, _STIFF, knots_mm=_KNOTS_MM, fwhm_mm=_FWHM_MM
    )
    judge, last = costs(_FWHM_MM[-1]), torch.as_tensor(np.moveaxis(moved, axis, -1).copy())
    return moved, float(judge(torch.zeros_like(last)) - judge(last))


class _Read:
    """Reads a displacement linearly at points (N, 3) in voxels, its axes in their order."""

    def __init__(self, points: np.ndarray) -> None:
        self.points = torch.as_tensor(points, dtype=torch.float32)

    def __call__(self, moved: torch.Tensor) -> torch.Tensor:
        last = torch.tensor(moved.shape) - 1
        held = torch.minimum(self.points.clamp(min=0), last - 1e-3)
        low = held.floor()
        share, first = held - low, low.to(torch.int64)
        total = torch.zeros(len(held))
        for corner in np.ndindex(2, 2, 2):
            step = torch.tensor(corner)
            x, y, z = (first + step).minimum(last).unbind(1)
            weight = torch.where(step == 1, share, 1 - share).prod(dim=1)
            total = total + weight * moved[x, y, z]
        return total
