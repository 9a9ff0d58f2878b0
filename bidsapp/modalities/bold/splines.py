"""Cubic B-splines of volumes in torch: smoothed as they are fitted, read at any points at once."""

from dataclasses import dataclass

import numpy as np
import torch

# Coefficients that are mirrored around a volume: a point at its edge needs two on either side.
_PAD = 2


@dataclass(frozen=True)
class Splines:
    """Volumes as cubic B-splines.

    Attributes
    ----------
    coefficients
        float32, shape (B, X + 4, Y + 4, Z + 4), mirrored beyond the volume.
    """

    coefficients: torch.Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of a volume."""
        x, y, z = (int(size) - 2 * _PAD for size in self.coefficients.shape[1:])
        return x, y, z

    def at(self, points: torch.Tensor) -> torch.Tensor:
        """Read every volume at points of its own.

        Parameters
        ----------
        points
            Voxel indices, shape (B, N, 3); those outside are moved to the volume's edge.

        Returns
        -------
        torch.Tensor
            float32, shape (B, N).
        """
        first, fraction = self._cells(points)
        weights = [_weights(fraction[..., axis]) for axis in range(3)]
        return self._summed(first, weights)

    def gradient(self, points: torch.Tensor) -> torch.Tensor:
        """Differentiate the first volume per voxel at points (N, 3); shape (N, 3)."""
        first, fraction = self._cells(points[None])
        columns = []
        for along in range(3):
            weights = [
                (_slopes if axis == along else _weights)(fraction[..., axis]) for axis in range(3)
            ]
            columns.append(self._summed(first, weights)[0])
        return torch.stack(columns, dim=-1)

    def _cells(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the first of 4 × 4 × 4 coefficients, (B, N), and the way beyond, (B, N, 3)."""
        last = torch.tensor(self.shape, device=points.device, dtype=points.dtype) - 1
        held = torch.minimum(points.clamp(min=0), last)
        whole = held.floor()
        _, size_y, size_z = self.coefficients.shape[1:]
        cell = whole.to(torch.int64) + (_PAD - 1)
        first = (cell[..., 0] * size_y + cell[..., 1]) * size_z + cell[..., 2]
        return first, (held - whole).to(torch.float32)

    def _summed(self, first: torch.Tensor, weights: list[torch.Tensor]) -> torch.Tensor:
        volumes, *_, size_y, size_z = self.coefficients.shape
        each = self.coefficients[0].numel()
        # Four neighbours along the last axis lie side by side: they are fetched as one row.
        rows = self.coefficients.as_strided((volumes * each - 3, 4), (1, 1))
        start = torch.arange(volumes, device=first.device)[:, None] * each
        cells = (first + start).reshape(-1)
        total = torch.zeros(len(cells), 4, device=first.device)
        for x in range(4):
            for y in range(4):
                found = rows.index_select(0, cells + (x * size_y + y) * size_z)
                weight = weights[0][..., x] * weights[1][..., y]
                total.addcmul_(found, weight.reshape(-1, 1))
        return torch.einsum("nz,nz->n", total, weights[2].reshape(-1, 4)).reshape(first.shape)


def fit_splines(
    volumes: np.ndarray | torch.Tensor,
    device: torch.device,
    voxel_sizes: np.ndarray | None = None,
    fwhm_mm: float = 0.0,
) -> Splines:
    """Fit splines to volumes, smoothed by a Gaussian.

    Parameters
    ----------
    volumes
        Shape (B, X, Y, Z).
    device
        Where they are to lie.
    voxel_sizes
        In mm, shape (3,); needed for smoothing.
    fwhm_mm
        Width of the Gaussian, 0 for none.

    Returns
    -------
    Splines
        Mirrored at the edges; without smoothing they pass through every voxel.
    """
    values = torch.as_tensor(volumes, dtype=torch.float32, device=device)
    for axis in range(1, 4):
        size = values.shape[axis]
        sigma = 0.0
        if fwhm_mm:
            assert voxel_sizes is not None
            sigma = fwhm_mm / (np.sqrt(8 * np.log(2)) * float(voxel_sizes[axis - 1]))
        matrix = torch.as_tensor(_matrix(size, sigma), dtype=torch.float32, device=device)
        values = torch.tensordot(values, matrix, dims=([axis], [1])).movedim(-1, axis)
    padded = values
    for axis in range(1, 4):
        size = values.shape[axis]
        numbers = np.arange(-_PAD, size + _PAD)
        index = torch.as_tensor(_mirrored(numbers, size), device=device)
        padded = padded.index_select(axis, index)
    return Splines(padded.contiguous())


def _matrix(size: int, sigma: float) -> np.ndarray:
    """Matrix (size, size) from samples to the coefficients of their smoothed spline."""
    numbers = np.arange(size)
    sampled = np.zeros((size, size))
    for offset, weight in ((-1, 1 / 6), (0, 4 / 6), (1, 1 / 6)):
        np.add.at(sampled, (numbers, _mirrored(numbers + offset, size)), weight)
    smoothed = np.eye(size)
    if sigma > 0:
        reach = int(np.ceil(4 * sigma))
        offsets = np.arange(-reach, reach + 1)
        kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
        kernel /= kernel.sum()
        smoothed = np.zeros((size, size))
        for step, weight in zip(offsets, kernel, strict=True):
            np.add.at(smoothed, (numbers, _mirrored(numbers + step, size)), weight)
    return np.linalg.solve(sampled, smoothed)


def _mirrored(numbers: np.ndarray, size: int) -> np.ndarray:
    """Fold numbers into 0 to size - 1, mirrored at the first and the last."""
    if size == 1:
        return np.zeros_like(numbers)
    period = 2 * (size - 1)
    folded = np.mod(numbers, period)
    return np.where(folded < size, folded, period - folded)


def _weights(t: torch.Tensor) -> torch.Tensor:
    """Cubic B-spline at t + 1, t, 1 - t, 2 - t for 0 <= t < 1; shape (..., 4)."""
    s = 1 - t
    return torch.stack(
        [s**3 / 6, 2 / 3 - t**2 * (1 - t / 2), 2 / 3 - s**2 * (1 - s / 2), t**3 / 6], dim=-1
    )


def _slopes(t: torch.Tensor) -> torch.Tensor:
    """Its derivative by t; shape (..., 4)."""
    s = 1 - t
    return torch.stack([-(s**2) / 2, t * (1.5 * t - 2), -s * (1.5 * s - 2), t**2 / 2], dim=-1)
