"""A BOLD series brought onto the boundary of white matter by its contrast there.

Across that boundary grey matter is brighter than white in a series. Where a registration by the
whole image lies beside it, contrast is lost: the place of most contrast is sought.

Source: Greve & Fischl (2009), doi:10.1016/j.neuroimage.2009.06.060.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from bidsapp.execution.compute import threads
from bidsapp.modalities.bold.splines import Splines, fit_splines
from bidsapp.modalities.bold.white_matter import APART_MM, Boundary

# FWHM of the series' smoothing, coarse to fine, and iterations at each.
_FWHM_MM, _ITERATIONS = (6.0, 3.0, 0.0), 20
# Change of the cost by a per cent of contrast. Chosen after seeing: with .5, as Greve & Fischl have
# it, places by single volumes of a real head of 5 mm lay .40 mm apart, with .05 .07 mm.
_SLOPE = 0.05
# A rotation of so many mm / 50 moves a point 50 mm away by as many.
_ARM_MM = 50.0
# What has to hold for the place to be taken: contrast as a share, mm between the places of two
# halves of the boundary, mm from where mutual information put it. The last was 6 until series of an
# uneven coil, which mutual information put 8 and 10 mm away, came right but for it; there halves
# agreed within .2 mm. Of half a head they lay 12 mm apart. What both halves share they cannot tell:
# without any contrast between tissues a strong coil is one (they lay .7 mm apart), and where it
# passes for 1.8 %, the place was wrong by .6 mm.
_LEAST_CONTRAST, _HALVES_MM, _FARTHEST_MM = 0.01, 1.5, 15.0
_BLOCK_MM = 25.0
_ALONE = "The series was registered to the T1w image by mutual information alone"


@dataclass(frozen=True)
class Placed:
    """Where each point of the T1w image lies in a series, and by what that was found.

    Attributes
    ----------
    to_series
        4 × 4, RAS mm of the T1w image to RAS mm of the series; rigid.
    method
        ``boundary``, or ``information`` where that by mutual information was kept.
    why
        A sentence for people.
    contrast
        Median share by which grey matter is brighter than white across the boundary there; None
        where there is no boundary.
    facts
        For the sidecar.
    """

    to_series: np.ndarray
    method: str = "information"
    why: str = ""
    contrast: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Give what the sidecar says."""
        return {"Method": self.method, "Description": self.why, **self.facts}


def onto_boundary(
    reference: np.ndarray, affine: np.ndarray, boundary: Boundary | None, place: np.ndarray
) -> Placed:
    """Move a series so that its contrast across the boundary is largest, where that is sure.

    Parameters
    ----------
    reference
        Mean volume of the series, shape (X, Y, Z).
    affine
        Its 4 × 4.
    boundary
        Of the T1w image's white matter; None where it has none.
    place
        Where to begin: 4 × 4, RAS mm of the T1w image to RAS mm of the series.

    Returns
    -------
    Placed
        The place of most contrast, if there is contrast, the head is not carried off, and two
        halves of the boundary, in blocks of 25 mm like a chessboard, say the same; else `place`.
    """
    if boundary is None:
        return Placed(place, why=f"{_ALONE}: that shows too little of white matter's boundary.")
    with threads(1):  # sums over points would depend on how many threads share them
        return _moved_onto(reference, affine, boundary, place)


def _moved_onto(
    reference: np.ndarray, affine: np.ndarray, boundary: Boundary, place: np.ndarray
) -> Placed:
    points = boundary.points @ place[:3, :3].T + place[:3, 3]
    search = _Search(reference, affine, points, boundary.outwards @ place[:3, :3].T)
    every, start = torch.ones(len(points), dtype=torch.bool), np.zeros(6)
    before = search.contrast(start)
    found = search.best(start, every)
    odd = torch.as_tensor(np.floor(points / _BLOCK_MM).sum(axis=1) % 2 > 0)
    halves = [search.best(start, half) for half in (odd, ~odd)]
    if not np.isfinite([found, *halves]).all():
        why = f"{_ALONE}: by its contrast across the boundary of white matter it has no place."
        return Placed(place, why=why, contrast=before)
    after = search.contrast(found)
    one, two = (search.moved(half) for half in halves)
    apart = float(np.linalg.norm(one - two, axis=1).mean())
    away = float(np.linalg.norm(search.moved(found) - points, axis=1).mean())
    facts = {
        "ContrastBefore": round(before, 4),
        "ContrastAfter": round(after, 4),
        "MovedMM": round(away, 2),
        "HalvesApartMM": round(apart, 2),
    }
    if after >= _LEAST_CONTRAST and apart <= _HALVES_MM and away <= _FARTHEST_MM:
        why = (
            f"The series was moved by {away:.1f} mm, from where mutual information put it, onto "
            f"the boundary of white matter: grey matter is {after:.1%} brighter across it "
            f"({before:.1%} before), and two halves of it agree within {apart:.1f} mm."
        )
        return Placed(search.matrix(found) @ place, "boundary", why, after, facts)
    why = (
        f"{_ALONE}: by the boundary of white matter it would be moved by {away:.1f} mm to where "
        f"grey matter is {after:.1%} brighter, and two halves of it lie {apart:.1f} mm apart."
    )
    return Placed(place, why=why, contrast=before, facts=facts)


class _Search:
    """A boundary near its place in a series, moved rigidly about its centre.

    Parameters are millimetres: three shifts, and three rotations as what they move 50 mm away.
    """

    def __init__(
        self, reference: np.ndarray, affine: np.ndarray, points: np.ndarray, outwards: np.ndarray
    ) -> None:
        self.points = points
        sizes, volume = np.sqrt((affine[:3, :3] ** 2).sum(axis=0)), reference[None]
        self.splines = {
            fwhm: fit_splines(volume, torch.device("cpu"), sizes, fwhm) for fwhm in _FWHM_MM
        }
        self.centre = points.mean(axis=0)
        self.back = torch.as_tensor(np.linalg.inv(affine), dtype=torch.float32)
        self.sides = torch.as_tensor(
            both_sides(points, outwards) - self.centre, dtype=torch.float32
        )
        self.least = least_signal(reference)

    def best(self, start: np.ndarray, used: torch.Tensor) -> np.ndarray:
        """Find the parameters of least cost over some of the points, coarse to fine."""
        own = torch.tensor(start, dtype=torch.float32, requires_grad=True)
        for splines in self.splines.values():
            steps = torch.optim.LBFGS([own], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

            def closure(steps: Any = steps, splines: Splines = splines) -> torch.Tensor:
                steps.zero_grad()
                cost = cost_of(*self._percent(splines, own, used))
                cost.backward()
                return cost

            steps.step(closure)
        return own.detach().double().numpy()

    def contrast(self, parameters: np.ndarray) -> float:
        """Median share by which the series is brighter outside than in white matter."""
        own = torch.as_tensor(parameters, dtype=torch.float32)
        percent, seen = self._percent(self.splines[0.0], own, slice(None))
        return float(percent[seen].median()) / 100 if seen.any() else 0.0

    def matrix(self, parameters: np.ndarray) -> np.ndarray:
        """4 × 4 in RAS mm."""
        found = np.eye(4)
        found[:3, :3] = _turn(torch.as_tensor(parameters[3:])).numpy()
        found[:3, 3] = self.centre + parameters[:3] - found[:3, :3] @ self.centre
        return found

    def moved(self, parameters: np.ndarray) -> np.ndarray:
        """Points (N, 3) of the boundary there."""
        matrix = self.matrix(parameters)
        return np.asarray(self.points @ matrix[:3, :3].T + matrix[:3, 3])

    def _percent(
        self, splines: Splines, own: torch.Tensor, used: torch.Tensor | slice
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Contrast of points in per cent of their mean, and which of them are in view."""
        there = self.sides[:, used] @ _turn(own[3:]).T + own[:3]
        there = there + torch.as_tensor(self.centre, dtype=torch.float32)
        at = there @ self.back[:3, :3].T + self.back[:3, 3]
        return contrast_across(splines, at, self.least)


def both_sides(points: np.ndarray, outwards: np.ndarray) -> np.ndarray:
    """Points in white matter and beyond it, RAS mm, shape (2, N, 3)."""
    return np.stack([points + side * APART_MM * outwards for side in (-1, 1)])


def least_signal(reference: np.ndarray) -> float:
    """Intensity below which a ratio says nothing."""
    return max(0.1 * float(np.percentile(reference, 98)), 1e-6)


def contrast_across(
    splines: Splines, at: torch.Tensor, least: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Contrast of points in per cent of their mean, and which of them are in view, (N,) each.

    Parameters
    ----------
    splines
        Of one volume.
    at
        `both_sides` in its voxels, shape (2, N, 3).
    least
        `least_signal`.
    """
    white, grey = splines.at(at.reshape(1, -1, 3)).reshape(2, -1)
    last = torch.tensor(splines.shape) - 1
    seen = ((at >= 0) & (at <= last)).all(dim=-1).all(dim=0)
    return 200 * (grey - white) / (grey + white).clamp(min=2 * least), seen


def cost_of(percent: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """Greve & Fischl's cost of contrasts, 0 to 2: 1 where there is none, less the larger it is."""
    return torch.where(seen, 1 - torch.tanh(_SLOPE * percent), 1.0).mean()


def _turn(parameters: torch.Tensor) -> torch.Tensor:
    """3 × 3 of a rotation vector that is given in mm at 50 mm."""
    x, y, z = parameters / _ARM_MM
    none = torch.zeros_like(x)
    rows = [none, -z, y, z, none, -x, -y, x, none]
    return torch.linalg.matrix_exp(torch.stack(rows).reshape(3, 3))
