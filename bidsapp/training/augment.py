"""Augmentation of a batch on its device, drawn from one generator."""

import torch

from bidsapp.recipes.learning import Augmentation


def move(
    images: torch.Tensor,
    section: Augmentation,
    generator: torch.Generator,
    flat: int | None = None,
) -> torch.Tensor:
    """Flip, turn and scale each image of a batch; what comes in from outside is 0 (background).

    Parameters
    ----------
    images
        float32 before the z-score, shape (B, C, X, Y[, Z]); x runs from left to right.
    section
        Probability of a flip, largest rotation in degrees, largest change of size.
    generator
        On the images' device.
    flat
        For slices: the axis (0, 1, 2) about which alone they are turned, and along which their
        size stays.
    """
    if images.ndim == 4:
        return move(images.unsqueeze(-1), section, generator, flat=2).squeeze(-1)
    size = len(images)
    if section.flip:
        flips = torch.rand(size, generator=generator, device=images.device) < section.flip
        images = torch.where(flips.view(-1, 1, 1, 1, 1), images.flip(2), images)
    if section.rotation or section.scaling:
        draws = 2 * torch.rand(size, 4, generator=generator, device=images.device) - 1
        angles = draws[:, :3] * torch.pi * section.rotation / 180
        sizes = (1 + section.scaling * draws[:, 3:]).expand(-1, 3)
        if flat is not None:
            inside = torch.arange(3, device=images.device) == flat
            angles = torch.where(inside, angles, 0)
            sizes = torch.where(inside, 1, sizes)
        turn = _rotations(angles) / sizes.unsqueeze(2)
        images = _resample(images, turn)
    return images


def add_noise(images: torch.Tensor, sd: float, generator: torch.Generator) -> torch.Tensor:
    """Add Gaussian noise of standard deviation `sd`, in units of the network's input."""
    if not sd:
        return images
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return images + sd * noise


def _rotations(angles: torch.Tensor) -> torch.Tensor:
    """Rotation matrices Rz·Ry·Rx, shape (B, 3, 3), from angles in radians, shape (B, 3)."""
    cos, sin = angles.cos(), angles.sin()
    turn = torch.eye(3, device=angles.device).expand(len(angles), 3, 3)
    for axis in range(3):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        one = torch.zeros(len(angles), 3, 3, device=angles.device)
        one[:, axis, axis] = 1
        one[:, i, i] = one[:, j, j] = cos[:, axis]
        one[:, j, i], one[:, i, j] = sin[:, axis], -sin[:, axis]
        turn = one @ turn
    return turn


def _resample(images: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Sample each image at ``turn`` times the voxel's offset from the window's centre."""
    # grid_sample counts each axis from -1 to 1, and the last axis first.
    half = torch.tensor(images.shape[2:], device=images.device, dtype=torch.float32) / 2
    unit = turn * half.view(1, 1, 3) / half.view(1, 3, 1)
    theta = torch.nn.functional.pad(unit.flip(1, 2), (0, 1))
    grid = torch.nn.functional.affine_grid(theta, list(images.shape), align_corners=False)
    return torch.nn.functional.grid_sample(images, grid, align_corners=False)
