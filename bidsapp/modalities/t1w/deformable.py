"""Deformable registration: small steps up the local correlation, each smoothed, as in greedy.

What greedy computes voxel by voxel in double precision is done here axis by axis on whole grids of
float32.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bidsapp.drawing.geometry import from_itk

if TYPE_CHECKING:
    import SimpleITK as sitk
    from torch import Tensor

_REACH = 3.5  # standard deviations at which a Gaussian ends
_NOISE = 1e-3  # of the range of an image: what varies by less is not there


Kernel = tuple[float, ...]
"""Weights of a symmetric filter, from its centre outwards."""


@dataclass(frozen=True)
class Steps:
    """Settings of the deformable registration.

    Attributes
    ----------
    iterations
        Per level, coarse to fine, each level at twice the resolution of the one before.
    radius
        Of the correlation's window, in voxels.
    step, field
        Standard deviations in voxels of the Gaussians that smooth each step and the whole field.
    """

    iterations: tuple[int, ...]
    radius: int
    step: float
    field: float


def deform(
    fixed: "sitk.Image", moving: "sitk.Image", affine: np.ndarray, steps: Steps
) -> "sitk.Image":
    """Find displacements, before an affine, that make two images correlate locally.

    Parameters
    ----------
    fixed, moving
        float32, 0 outside the brain.
    affine
        4 × 4, RAS, fixed to moving.
    steps
        Settings.

    Returns
    -------
    SimpleITK.Image
        On the grid of `fixed`, three components of float32, LPS mm.

    References
    ----------
    Yushkevich et al., Fast automatic segmentation of hippocampal subfields and medial temporal
    lobe subregions in 3 Tesla and 7 Tesla T2-weighted MRI, Alzheimer's & Dementia 2016 (greedy).
    Avants et al., Symmetric diffeomorphic image registration with cross-correlation, Medical Image
    Analysis 2008 (the gradient of the correlation).
    """
    import SimpleITK as sitk
    import torch

    to_moving = np.linalg.inv(from_itk(moving)[1]) @ affine @ from_itk(fixed)[1]
    with torch.inference_mode():
        target, source = (
            torch.from_numpy(sitk.GetArrayFromImage(image).astype(np.float32))
            for image in (fixed, moving)
        )
        # squares of a level far from 0 would leave no digits for what varies
        target, source = target - target.min(), source - source.min()
        found = torch.empty(0)  # nothing yet
        for level, most in enumerate(steps.iterations):
            factor = 2 ** (len(steps.iterations) - 1 - level)
            found = _level(target, source, to_moving, factor, most, steps, found)
        voxels = found.permute(1, 2, 3, 0).numpy()
    directions = np.reshape(fixed.GetDirection(), (3, 3)) * np.array(fixed.GetSpacing())
    field = sitk.GetImageFromArray((voxels @ directions.T).astype(np.float32), isVector=True)
    field.CopyInformation(fixed)
    return field


def _level(
    target: "Tensor",
    source: "Tensor",
    to_moving: np.ndarray,
    factor: int,
    most: int,
    steps: Steps,
    before: "Tensor",
) -> "Tensor":
    """Go on from the coarser level's field on one level; displacements (3, z, y, x) in voxels."""
    import torch

    coarse = np.diag([factor] * 3 + [1.0])
    coarse[:3, 3] = (factor - 1) / 2
    matrix = to_moving @ coarse
    if factor > 1:
        sizes = np.linalg.norm(to_moving[:3, :3], axis=1)[::-1]  # moving voxels in a fixed one
        source = _filtered(source, [_gaussian(0.5 * factor * size) for size in sizes])
        target = _filtered(target, [_gaussian(0.5 * factor)] * 3)
        centres = [factor * np.arange(-(-n // factor)) + (factor - 1) / 2 for n in target.shape]
        target = _on_other_grid(target, centres)
    shape = target.shape
    if not before.numel():
        field = torch.zeros(3, *shape)
    else:
        field = 2 * _on_other_grid(before, [(np.arange(n) - 0.5) / 2 for n in shape])
    correlation = _Correlation(target, steps.radius)
    smooth = [[_gaussian(sigma)] * 3 for sigma in (steps.step, steps.field)]
    place, onto = _Places(shape, source.shape, matrix), _Places(shape, shape, np.eye(4))
    for _ in range(most):
        moved = _sampled(source[None], place.at(field))[0]
        force = _filtered(_gradient(moved).mul_(correlation.slope(moved)), smooth[0])
        longest = force.square().sum(0).max().sqrt()
        if not longest > 0:
            break
        step = force.div_(longest)
        field = _filtered(step.add_(_sampled(field, onto.at(step))), smooth[1])
        for axis in (1, 2, 3):
            field.select(axis, 0).zero_()
            field.select(axis, -1).zero_()
    return field


class _Correlation:
    """How the sum of squared local correlations with an image changes with another's values."""

    def __init__(self, target: "Tensor", radius: int) -> None:
        import torch

        self.box = [(1.0,) * (radius + 1)] * 3
        self.count = float((2 * radius + 1) ** 3)
        self.target = target
        means = _filtered(torch.stack([target, target.square()]), self.box) / self.count
        self.mean = means[0]
        self.variance = means[1] - self.mean.square() + self._noise(target)

    def _noise(self, image: "Tensor") -> float:
        return float((_NOISE * (image.max() - image.min())) ** 2) + 1e-20

    def slope(self, moved: "Tensor") -> "Tensor":
        import torch

        sums = _filtered(torch.stack([moved, moved.square(), moved * self.target]), self.box)
        mean, square, product = sums.div_(self.count)
        variance = square.addcmul_(mean, mean, value=-1).add_(self._noise(moved))
        covariance = product.addcmul_(mean, self.mean, value=-1)
        one = covariance.abs() / (self.variance * variance)
        other = one * covariance / variance
        parts = torch.stack([one, other, other * mean - one * self.mean])
        one, other, rest = _filtered(parts, self.box)
        return rest.addcmul_(one, self.target).addcmul_(other, moved, value=-1)


class _Places:
    """Where the voxels of one grid lie on another, for torch's interpolation."""

    def __init__(self, shape: Sequence[int], other: Sequence[int], matrix: np.ndarray) -> None:
        import torch

        scale = 2 / (np.array(other[::-1]) - 1)
        axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in shape), indexing="ij")
        points = torch.stack([axis.reshape(-1) for axis in axes[::-1]])
        turn = torch.from_numpy(matrix[:3, :3] * scale[:, None])
        shift = torch.from_numpy(matrix[:3, 3] * scale - 1)
        self.base = torch.addmm(shift[:, None], turn, points).float()
        self.turn = turn.float()

    def at(self, field: "Tensor") -> "Tensor":
        import torch

        places = torch.addmm(self.base, self.turn, field.reshape(3, -1))
        return places.T.reshape(1, *field.shape[1:], 3)


def _sampled(image: "Tensor", places: "Tensor") -> "Tensor":
    """Interpolate channels (c, z, y, x) linearly; 0 beyond the grid."""
    import torch

    return torch.nn.functional.grid_sample(
        image[None], places, padding_mode="zeros", align_corners=True
    )[0]


def _gradient(image: "Tensor") -> "Tensor":
    """Half the difference of the neighbours along x, y and z; 0 on the faces."""
    out = image.new_zeros((3, *image.shape))
    for axis, channel in ((2, 0), (1, 1), (0, 2)):
        size = image.shape[axis] - 2
        inner = out[channel].narrow(axis, 1, size)
        inner.add_(image.narrow(axis, 2, size)).sub_(image.narrow(axis, 0, size)).mul_(0.5)
    return out


def _filtered(image: "Tensor", kernels: "Sequence[Kernel]") -> "Tensor":
    """Filter the last three axes (z, y, x), each by a symmetric kernel; beyond the ends is 0."""
    for axis, (centre, *sides) in zip((-3, -2, -1), kernels, strict=True):
        size = image.shape[axis]
        out = image * centre
        for shift, weight in enumerate(sides[: size - 1], start=1):
            rest = size - shift
            out.narrow(axis, shift, rest).add_(image.narrow(axis, 0, rest), alpha=weight)
            out.narrow(axis, 0, rest).add_(image.narrow(axis, shift, rest), alpha=weight)
        image = out
    return image


def _gaussian(sigma: float) -> Kernel:
    reach = max(1, int(np.ceil(_REACH * sigma)))
    half = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
    return tuple((half / (2 * half.sum() - half[0])).tolist())


def _on_other_grid(image: "Tensor", places: Sequence[np.ndarray]) -> "Tensor":
    """Interpolate along the last three axes (z, y, x); beyond the ends the last value holds."""
    import torch

    for axis, wanted in zip((-3, -2, -1), places, strict=True):
        last = image.shape[axis] - 1
        held = np.clip(wanted, 0, last)
        below = np.minimum(held.astype(int), max(last - 1, 0))
        share = torch.from_numpy((held - below).astype(np.float32))
        share = share.reshape([-1] + [1] * (-1 - axis))
        one, other = (
            image.index_select(axis, torch.from_numpy(at))
            for at in (below, np.minimum(below + 1, last))
        )
        image = torch.lerp(one, other, share)
    return image
