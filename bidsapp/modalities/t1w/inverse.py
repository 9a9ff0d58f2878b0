"""The field that undoes a displacement field."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

_TOLERANCE = 0.0025  # voxels
_MOST_ITERATIONS = 20
_LEAST_STEP = 0.1


def inverse_displacements(field: np.ndarray) -> tuple[np.ndarray, int]:
    """Invert a displacement field by fixed points: v(y) = -u(y + v(y)).

    A voxel that has come near enough to its fixed point is left alone, so that only the first
    rounds see them all; one that does not come nearer takes smaller steps.

    Parameters
    ----------
    field
        (z, y, x, 3) float32: displacements along x, y and z in voxels of its own grid.

    Returns
    -------
    undone : ndarray
        As `field`; 0 on the faces of the grid, as beyond them.
    unsettled : int
        Voxels that do not come back to within .0025 of a voxel after 20 rounds: where a field
        folds, several places go to one.

    References
    ----------
    Chen et al., A simple fixed-point approach to invert a deformation field, Medical Physics 2008.
    """
    import torch

    out = torch.zeros(field.shape)
    with torch.inference_mode():
        forward = torch.from_numpy(field)
        axes = [torch.arange(1, size - 1, dtype=torch.float32) for size in field.shape[:3]]
        at = torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1).reshape(-1, 3)
        inner = forward[1:-1, 1:-1, 1:-1]
        found = -inner.reshape(-1, 3)
        rows = torch.arange(len(at))
        value, step, before = found, torch.ones(len(at)), torch.full((len(at),), torch.inf)
        unsettled = 0
        for _ in range(_MOST_ITERATIONS):
            off = value + _sampled(forward, at + value)
            far = off.square().sum(dim=1)
            step = torch.where(far > 0.36 * before, step / 2, step).clamp_(min=_LEAST_STEP)
            value = value - step[:, None] * off
            found[rows] = value
            left = (far > _TOLERANCE**2).nonzero()[:, 0]
            if not len(left):
                break
            rows, at, value = rows[left], at[left], value[left]
            step, before = step[left], far[left]
        else:
            off = value + _sampled(forward, at + value)
            unsettled = int((off.square().sum(dim=1) > _TOLERANCE**2).sum())
        out[1:-1, 1:-1, 1:-1] = found.reshape(inner.shape)
    return out.numpy(), unsettled


def _sampled(field: "Tensor", places: "Tensor") -> "Tensor":
    """Interpolate a field (z, y, x, 3) at places (n, 3) in voxels; beyond the grid it is 0."""
    import torch

    last = torch.tensor(field.shape[2::-1], dtype=torch.float32) - 1
    scaled = places.mul(2 / last).sub_(1)
    space = field.permute(3, 0, 1, 2)[None]
    sampled = torch.nn.functional.grid_sample(
        space, scaled[None, None, None], padding_mode="zeros", align_corners=True
    )
    return sampled[0, :, 0, 0].T
