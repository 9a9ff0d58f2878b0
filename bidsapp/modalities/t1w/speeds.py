"""What `--speed` stands for: how finely the bias field and the registration are fitted."""

from dataclasses import dataclass

from bidsapp.errors import UsageError

CHAIN = 2
"""Raised whenever the same image and settings give other voxels than before: what is there is then
prepared anew, and images of both are not mixed. Those without it are of greedy's deformation."""


@dataclass(frozen=True)
class Speed:
    """Settings of one speed.

    Attributes
    ----------
    mask_grid
        Voxels along each edge of the cube on which deepbet looks at the head.
    grid_mm
        Voxel size of the grid on which the registration runs.
    bias_grid_mm
        Voxel size of the grid on which the bias field is fitted.
    affine_iterations, deformable_iterations
        Iterations per level, coarse to fine, each level at twice the resolution of the one before.
    metric
        Normalised cross-correlation with a radius in voxels, as greedy is told.
    smoothing
        Gaussian smoothing of each step and of the whole field, in voxels.
    """

    mask_grid: int
    grid_mm: int
    bias_grid_mm: float
    affine_iterations: str
    deformable_iterations: str
    metric: str
    smoothing: str


SPEEDS = {
    "fast": Speed(192, 2, 8.0, "60x30x0", "60x25x4", "NCC 2x2x2", "1.0vox 0.7vox"),
    "default": Speed(256, 2, 8.0, "60x30x0", "60x50x10", "NCC 2x2x2", "1.0vox 0.7vox"),
    "precise": Speed(256, 1, 4.0, "100x60x30x0", "100x80x50x14", "NCC 3x3x3", "1.0vox 0.7vox"),
}


def speed_named(name: str) -> Speed:
    """Give the settings of ``fast``, ``default`` or ``precise``, or raise UsageError."""
    if name not in SPEEDS:
        raise UsageError(f"speed {name!r} is not known; choose one of {', '.join(SPEEDS)}.")
    return SPEEDS[name]
