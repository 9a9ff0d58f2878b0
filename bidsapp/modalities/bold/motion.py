"""Rigid motion of a head during a series: all volumes registered to a mean at once, in torch."""

from dataclasses import dataclass

import numpy as np
import torch

from bidsapp.modalities.bold.confounds import RADIUS_MM
from bidsapp.modalities.bold.splines import Splines, fit_splines

# FWHM of the smoothing, distance of the points that are compared, iterations, and the largest
# step in mm at which a level ends: first to one volume, then to the mean.
_COARSE, _FINE = (12.0, 8.0, 25, 0.02), (6.0, 4.0, 12, 0.002)
# Volumes that are held at once; more do not run faster on a CPU.
_TOGETHER = 16
# Volumes whose mean is the reference.
_AVERAGED = 30
# Tukey's biweight: residuals beyond so many robust standard deviations count nothing.
_TUKEY = 4.685


@dataclass(frozen=True)
class Motion:
    """Where the head lay in every volume.

    Attributes
    ----------
    matrices
        4 × 4 for each volume, shape (T, 4, 4): from a point of the reference to the same point
        of the head in the volume, RAS mm.
    reference
        Mean of the aligned volumes on their own grid, shape (X, Y, Z).
    centre
        Point (3,) in RAS mm around which `parameters` turn.
    """

    matrices: np.ndarray
    reference: np.ndarray
    centre: np.ndarray

    @property
    def parameters(self) -> np.ndarray:
        """Translations in mm and rotations in rad about x, y, z, in this order; shape (T, 6)."""
        from scipy.spatial.transform import Rotation

        turns = self.matrices[:, :3, :3]
        shifts = self.matrices[:, :3, 3] + turns @ self.centre - self.centre
        return np.hstack([shifts, Rotation.from_matrix(turns).as_euler("xyz")])


def estimate_motion(
    data: np.ndarray, affine: np.ndarray, mask: np.ndarray, device: torch.device | None = None
) -> Motion:
    """Register every volume of a series to the mean of the series.

    Parameters
    ----------
    data
        Shape (X, Y, Z, T).
    affine
        4 × 4, voxel indices to RAS mm.
    mask
        Where the head is, booleans (X, Y, Z).
    device
        Where to compute; the CPU where not given.

    Returns
    -------
    Motion

    Notes
    -----
    Inverse compositional Gauss–Newton (Baker & Matthews 2004, doi:10.1023/B:VISI.0000011205.
    11775.fd) on smoothed cubic splines: the derivatives are the reference's, taken once. Six
    parameters and a gain a volume, residuals weighted by Tukey's biweight. First coarsely to the
    quietest volume, then finely to the mean of up to thirty aligned volumes.
    """
    device = device or torch.device("cpu")
    centre = (affine @ np.append((np.array(data.shape[:3]) - 1) / 2, 1))[:3]
    frame = _Frame(affine, centre, mask, device)
    matrices = np.tile(np.eye(4), (data.shape[-1], 1, 1))
    reference = data[..., quietest(data, mask)]
    matrices = frame.register(data, reference, matrices, *_COARSE)
    chosen = np.unique(np.linspace(0, data.shape[-1] - 1, _AVERAGED).round().astype(int))
    reference = frame.mean(data, matrices, chosen)
    matrices = frame.register(data, reference, matrices, *_FINE)
    return Motion(matrices, reference, centre)


def register_to(
    reference: np.ndarray, volume: np.ndarray, affine: np.ndarray, device: torch.device
) -> np.ndarray:
    """Register one volume of the same contrast to a reference; 4 × 4 as those of `Motion`.

    Parameters
    ----------
    reference, volume
        Shape (X, Y, Z), on one grid.
    affine
        4 × 4, voxel indices to RAS mm.
    device
        Where to compute.
    """
    centre = (affine @ np.append((np.array(reference.shape) - 1) / 2, 1))[:3]
    mask = reference > 0.3 * np.percentile(reference, 98)
    frame = _Frame(affine, centre, mask, device)
    found = np.eye(4)[None]
    for level in (_COARSE, _FINE):
        found = frame.register(volume[..., None], reference, found, *level)
    return found[0]


def quietest(data: np.ndarray, mask: np.ndarray) -> int:
    """Find the volume that differs least from the volumes before and after it."""
    inside = data[mask]
    steps = np.abs(np.diff(inside, axis=1)).mean(axis=0)
    around = np.full(inside.shape[1], np.inf)
    around[1:-1] = steps[:-1] + steps[1:]
    return int(around.argmin())


class _Frame:
    """The grid that a series and its reference share."""

    def __init__(
        self, affine: np.ndarray, centre: np.ndarray, mask: np.ndarray, device: torch.device
    ) -> None:
        self.affine, self.centre, self.mask, self.device = affine, centre, mask, device
        self.sizes = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))

    def register(
        self,
        data: np.ndarray,
        reference: np.ndarray,
        start: np.ndarray,
        fwhm: float,
        distance: float,
        iterations: int,
        enough: float,
    ) -> np.ndarray:
        """Refine matrices (T, 4, 4) on one level."""
        points = self._points(distance)
        spline = fit_splines(reference[None], self.device, self.sizes, fwhm)
        target = spline.at(points[None])[0]
        jacobian = self._jacobian(spline, points, target)
        refined = start.copy()
        for first in range(0, data.shape[-1], _TOGETHER):
            part = slice(first, first + _TOGETHER)
            volumes = np.moveaxis(data[..., part], -1, 0)
            splines = fit_splines(volumes, self.device, self.sizes, fwhm)
            refined[part] = self._refine(
                splines, points, target, jacobian, start[part], iterations, enough
            )
        return refined

    def mean(self, data: np.ndarray, matrices: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Average some volumes after resampling, shape (X, Y, Z)."""
        grid = np.indices(self.mask.shape).reshape(3, -1).T
        points = torch.as_tensor(grid, dtype=torch.float32, device=self.device)
        total = torch.zeros(len(grid), device=self.device)
        for number in chosen:
            splines = fit_splines(data[None, ..., number], self.device)
            total += splines.at(self._moved(points, matrices[number][None])[0])[0]
        return (total / len(chosen)).cpu().numpy().reshape(self.mask.shape)

    def _points(self, distance: float) -> torch.Tensor:
        """Voxel indices (N, 3) of points inside the mask, about so many mm apart."""
        steps = np.maximum(1, np.round(distance / self.sizes)).astype(int)
        sparse = np.zeros_like(self.mask)
        sparse[tuple(slice(step // 2, None, step) for step in steps)] = True
        found = np.argwhere(self.mask & sparse)
        return torch.as_tensor(found, dtype=torch.float32, device=self.device)

    def _jacobian(
        self, spline: Splines, points: torch.Tensor, target: torch.Tensor
    ) -> torch.Tensor:
        """Differentiate the reference by six parameters and a gain, (N, 7).

        Rotations are in units that move a point 50 mm from the centre by 1 mm.
        """
        to_voxels = torch.as_tensor(
            np.linalg.inv(self.affine[:3, :3]), dtype=torch.float32, device=self.device
        )
        slope = spline.gradient(points) @ to_voxels  # per mm
        turn = torch.as_tensor(self.affine[:3, :3].T, dtype=torch.float32, device=self.device)
        origin = torch.as_tensor(
            self.affine[:3, 3] - self.centre, dtype=torch.float32, device=self.device
        )
        arm = (points @ turn + origin) / RADIUS_MM
        return torch.cat([slope, torch.linalg.cross(arm, slope), target[:, None]], dim=1)

    def _moved(
        self, points: torch.Tensor, matrices: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Voxel indices (B, N, 3) of the reference's points in volumes, and which are inside."""
        inverse = np.linalg.inv(self.affine)
        whole = torch.as_tensor(
            inverse @ matrices @ self.affine, dtype=torch.float32, device=self.device
        )
        moved = points @ whole[:, :3, :3].transpose(1, 2) + whole[:, None, :3, 3]
        last = torch.tensor(self.mask.shape, device=self.device) - 1
        return moved, ((moved >= 0) & (moved <= last)).all(dim=-1)

    def _refine(
        self,
        splines: Splines,
        points: torch.Tensor,
        target: torch.Tensor,
        jacobian: torch.Tensor,
        start: np.ndarray,
        iterations: int,
        enough: float,
    ) -> np.ndarray:
        matrices = start.copy()
        gain = torch.zeros(len(start), 1, device=self.device)
        pairs = (jacobian[:, :, None] * jacobian[:, None, :]).reshape(len(points), -1)
        for _ in range(iterations):
            moved, inside = self._moved(points, matrices)
            residual = splines.at(moved) - target
            weights = inside * _biweight(residual - gain * target, inside)
            square = (weights @ pairs).reshape(-1, 7, 7).double()
            right = ((weights * residual) @ jacobian).double()
            # A volume without a head keeps its place: nothing is divided by nothing.
            ridge = 1e-6 * square.diagonal(dim1=1, dim2=2).mean(dim=1).clamp(min=1e-12)
            square += ridge[:, None, None] * torch.eye(7, device=self.device).double()
            step = torch.linalg.solve(square, right)
            gain = step[:, 6:].float()
            small = step[:, :6].cpu().numpy()
            matrices = matrices @ self._inverse_step(small)
            if np.abs(small).max() < enough:
                break
        return matrices

    def _inverse_step(self, step: np.ndarray) -> np.ndarray:
        """Matrices (B, 4, 4) that undo small motions (B, 6) about the centre."""
        from scipy.spatial.transform import Rotation

        undone = np.tile(np.eye(4), (len(step), 1, 1))
        turns = Rotation.from_rotvec(-step[:, 3:] / RADIUS_MM).as_matrix()
        undone[:, :3, :3] = turns
        undone[:, :3, 3] = self.centre - turns @ self.centre - step[:, :3]
        return undone


def _biweight(residual: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Tukey's weights (B, N), with the spread of each volume's own residuals."""
    spread = 1.4826 * torch.where(inside, residual.abs(), torch.nan).nanmedian(dim=1)[0]
    scaled = residual / (_TUKEY * spread.clamp(min=1e-12))[:, None]
    return (1 - scaled**2).clamp(min=0) ** 2
