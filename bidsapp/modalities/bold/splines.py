"""Cubic B-splines of volumes in torch: smoothed as they are fitted, read at any points at once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

# Coefficients that are mirrored around a volume: a point at its edge needs two on either side.
_PAD = 2
# Points of each volume that are read at once: what is needed of them fits the cache of a core.
_AT_ONCE = 4000


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

    @cached_property
    def _rows(self) -> torch.Tensor:
        """Every coefficient and the three behind it along the last axis, shape (B X' Y' Z', 4)."""
        flat = torch.nn.functional.pad(self.coefficients.reshape(-1), (0, 3))
        return flat.as_strided((len(flat) - 3, 4), (1, 1)).contiguous()

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
        parts = []
        for part in points.split(_AT_ONCE, dim=1):
            first, fraction = self._cells(part)
            weights = _weights(fraction)
            parts.append(self._summed(first, *weights).reshape(part.shape[:2]))
        return torch.cat(parts, dim=1) if parts else points.new_zeros(points.shape[:2])

    def gradient(self, points: torch.Tensor) -> torch.Tensor:
        """Differentiate the first volume per voxel at points (N, 3); shape (N, 3)."""
        first, fraction = self._cells(points[None])
        weights, slopes = _weights(fraction), _slopes(fraction)
        columns = []
        for along in range(3):
            mixed = [slopes[axis] if axis == along else weights[axis] for axis in range(3)]
            columns.append(self._summed(first, *mixed))
        return torch.stack(columns, dim=-1)

    def _cells(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the first of 4 × 4 × 4 coefficients, (B N,), and the way beyond, (3, B N)."""
        last = torch.tensor(self.shape, device=points.device, dtype=points.dtype)[:, None] - 1
        # each axis by itself lies side by side: they are computed with one by one
        held = torch.minimum(points.reshape(-1, 3).t().contiguous().clamp(min=0), last)
        whole = held.detach().floor()
        volumes, _, size_y, size_z = self.coefficients.shape
        each, cell = self.coefficients[0].numel(), whole.to(torch.int32) + (_PAD - 1)
        first = ((cell[0] * size_y + cell[1]) * size_z + cell[2]).reshape(volumes, -1)
        start = torch.arange(volumes, dtype=torch.int32, device=points.device) * each
        return (first + start[:, None]).reshape(-1), (held - whole).to(torch.float32)

    def _summed(
        self, first: torch.Tensor, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor
    ) -> torch.Tensor:
        """Sum 4 × 4 × 4 coefficients by the weights (4, B N) of each axis."""
        *_, size_y, size_z = self.coefficients.shape
        along = torch.arange(4, dtype=torch.int32, device=first.device)
        rows = first[:, None] + ((along[:, None] * size_y + along) * size_z).reshape(-1)
        weights = (x.t()[:, :, None] * y.t()[:, None, :]).reshape(-1, 16)
        # fetched and summed in one go: a row holds the four neighbours along the last axis
        found = torch.nn.functional.embedding_bag(
            rows, self._rows, mode="sum", per_sample_weights=weights
        )
        total = found[:, 0] * z[0]
        for number in range(1, 4):
            total = torch.addcmul(total, found[:, number], z[number])
        return total


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


def _weights(t: torch.Tensor) -> list[torch.Tensor]:
    """Cubic B-spline at t + 1, t, 1 - t, 2 - t for 0 <= t < 1; (4, N) for each row of (3, N)."""
    s = 1 - t
    squared, other = t * t, s * s
    four = [other * s / 6, 2 / 3 - squared * (1 - t / 2), 2 / 3 - other * (1 - s / 2)]
    return list(torch.stack([*four, squared * t / 6], dim=1))


def _slopes(t: torch.Tensor) -> list[torch.Tensor]:
    """Its derivative by t; (4, N) for each row of (3, N)."""
    s = 1 - t
    four = [-s * s / 2, t * (1.5 * t - 2), -s * (1.5 * s - 2), t * t / 2]
    return list(torch.stack(four, dim=1))
