"""Every volume brought to the output grid in one interpolation, whatever moved it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bidsapp.drawing.geometry import reference_image
from bidsapp.modalities.bold.splines import fit_splines

# Volumes that are read at once; a batch of points and weights takes some hundred megabytes.
_TOGETHER = 4
# A voxel that lies in the field of view in fewer volumes than this holds no series.
COVERED = 0.95


@dataclass(frozen=True)
class Resampled:
    """A series inside a mask of the output grid.

    Attributes
    ----------
    series
        float32, shape (T, V); 0 where the voxel is not covered.
    covered
        Whether a voxel lies in the field of view, booleans (V,).
    """

    series: np.ndarray
    covered: np.ndarray


def points_in_t1w(
    transform: Path, shape: tuple[int, int, int], affine: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """Say where the voxels of a mask in standard space lie in the person's T1w image.

    Parameters
    ----------
    transform
        ITK's transform that brings the T1w image to the template (``from-T1w_to-…_xfm.h5``).
    shape, affine
        Of the output grid, RAS.
    mask
        Booleans of that shape, V of them true.

    Returns
    -------
    numpy.ndarray
        RAS mm, shape (V, 3).
    """
    import SimpleITK as sitk

    reference = reference_image(shape, affine)
    moves = sitk.TransformToDisplacementField(
        sitk.ReadTransform(str(transform)),
        sitk.sitkVectorFloat64,
        reference.GetSize(),
        reference.GetOrigin(),
        reference.GetSpacing(),
        reference.GetDirection(),
    )
    field = sitk.GetArrayFromImage(moves).transpose(2, 1, 0, 3)[mask] * [-1, -1, 1]
    voxels = np.argwhere(mask)
    return voxels @ affine[:3, :3].T + affine[:3, 3] + field


def resample(
    data: np.ndarray,
    affine: np.ndarray,
    matrices: np.ndarray,
    points: np.ndarray,
    device: torch.device | None = None,
) -> Resampled:
    """Read every volume where the head's points lay at its time.

    Parameters
    ----------
    data
        Series, shape (X, Y, Z, T).
    affine
        Its 4 × 4, voxel indices to RAS mm.
    matrices
        From the reference to each volume, shape (T, 4, 4), RAS mm; see `Motion`.
    points
        Where the output's voxels lie in the reference, RAS mm, shape (V, 3).
    device
        Where to compute; the CPU where not given.

    Returns
    -------
    Resampled
        By cubic splines, from the data as they were acquired: nothing is interpolated twice.
    """
    device = device or torch.device("cpu")
    volumes = data.shape[-1]
    to_voxels = np.linalg.inv(affine) @ matrices
    given = torch.as_tensor(points, dtype=torch.float32, device=device)
    last = torch.tensor(data.shape[:3], device=device) - 1
    series = np.empty((volumes, len(points)), np.float32)
    inside = np.zeros(len(points))
    for first in range(0, volumes, _TOGETHER):
        part = slice(first, first + _TOGETHER)
        whole = torch.as_tensor(to_voxels[part], dtype=torch.float32, device=device)
        there = given @ whole[:, :3, :3].transpose(1, 2) + whole[:, None, :3, 3]
        # Half a voxel beyond the outermost centres is still measured.
        seen = ((there >= -0.5) & (there <= last + 0.5)).all(dim=-1)
        splines = fit_splines(np.moveaxis(data[..., part], -1, 0), device)
        series[part] = splines.at(there).cpu().numpy()
        inside += seen.sum(dim=0).cpu().numpy()
    covered = inside >= COVERED * volumes
    series[:, ~covered] = 0
    return Resampled(series, covered)
