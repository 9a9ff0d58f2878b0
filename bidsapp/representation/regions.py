"""Coarse regions of the standard space: native volume and mean intensity of each, per scan."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bidsapp.contracts.modality_tables import channel_named
from bidsapp.errors import BadData
from bidsapp.intake.images import read_numbers
from bidsapp.representation.sample import CohortRow, image_of

CELL_MM = 24.0
SERIES_CELL_MM = 40.0
"""Edge of the cubes between which series are compared: pairs of them are many."""
_LEAST_FILLED = 0.25
_DIGITS = 5
_NEARLY_ONE = 0.999999


def regional_values(
    rows: Sequence[CohortRow], mask: np.ndarray, affine: np.ndarray, cell_mm: float = CELL_MM
) -> pd.DataFrame:
    """Measure cubes of the brain: what a linear model can know without a network.

    The cubes are laid from the midline and the commissures outwards, so that none holds both
    hemispheres. A volume is the sum of exp(log-Jacobian) over the cube's brain voxels, in ml of
    the participant's own brain, as the log-Jacobian is that of the whole transform.

    Parameters
    ----------
    rows
        Scans with a channel of intensities and, where they have one, one of log-volumes.
    mask
        The template's brain mask on the images' grid, bool, shape (X, Y, Z).
    affine
        Of that grid, 4 x 4; upright.
    cell_mm
        Edge of the cubes.

    Returns
    -------
    pandas.DataFrame
        A row per scan: ``region_intensity_<x>_<y>_<z>`` (mean of the cube over that of the brain,
        as the image's own scale hangs on its brightest voxel) and, where everybody has a
        log-Jacobian, ``region_volume_<x>_<y>_<z>`` (ml), named by the cube's centre in mm. Of
        series ``region_connectivity_<cube>_<cube>``: Fisher's z of the correlation of two cubes'
        mean courses, in cubes of `SERIES_CELL_MM`.

    Raises
    ------
    BadData
        An image cannot be read, or lies on another grid.
    """
    about = {name: channel_named(name) for row in rows for name in row.images}
    series = next((name for name, channel in about.items() if channel.series), None)
    if series:
        return _connectivity(rows, series, affine, *cells(mask, affine, SERIES_CELL_MM))
    cell, names = cells(mask, affine, cell_mm)
    inside = cell >= 0
    label = cell[inside]
    size = np.bincount(label, minlength=len(names))
    voxel_ml = float(abs(np.linalg.det(affine[:3, :3]))) / 1000
    grey = next((name for name, channel in about.items() if channel.arbitrary), None)
    ratios = next((name for name, channel in about.items() if channel.log_volume), None)
    volumes = ratios is not None and all(ratios in row.images for row in rows)
    columns = [f"region_intensity_{name}" for name in names] if grey else []
    columns += [f"region_volume_{name}" for name in names] if volumes else []
    values = np.empty((len(rows), len(columns)))
    for i, row in enumerate(rows):
        parts: list[np.ndarray] = [np.empty(0)]
        if grey:
            image = _read(row, grey, mask.shape, affine)[inside]
            mean = np.bincount(label, image, len(names)) / size
            parts.append(mean / max(float(image.mean()), 1e-9))
        if volumes and ratios:
            ratio = np.exp(_read(row, ratios, mask.shape, affine)[inside])
            parts.append(np.asarray(np.bincount(label, ratio, len(names)) * voxel_ml))
        values[i] = np.concatenate(parts)
    return pd.DataFrame(values.round(_DIGITS), columns=columns)


def _connectivity(
    rows: Sequence[CohortRow],
    channel: str,
    affine: np.ndarray,
    cell: np.ndarray,
    names: Sequence[str],
) -> pd.DataFrame:
    """Correlate the mean courses of cubes; a cube that does not change goes with none (0)."""
    inside = cell >= 0
    first, second = np.triu_indices(len(names), 1)
    label = cell[inside]
    values = np.zeros((len(rows), len(first)))
    for i, row in enumerate(rows):
        data = _read(row, channel, cell.shape, affine, series=True)
        courses = np.array([np.bincount(label, one, len(names)) for one in data[inside].T])
        courses -= courses.mean(axis=0)
        length = np.sqrt((courses**2).sum(axis=0))
        courses /= np.where(length > 0, length, 1)
        r = (courses.T @ courses)[first, second]
        values[i] = np.arctanh(np.clip(r, -_NEARLY_ONE, _NEARLY_ONE))
    columns = [
        f"region_connectivity_{names[a]}_{names[b]}" for a, b in zip(first, second, strict=True)
    ]
    return pd.DataFrame(values.round(_DIGITS), columns=columns)


def cells(mask: np.ndarray, affine: np.ndarray, cell_mm: float) -> tuple[np.ndarray, list[str]]:
    """Give every brain voxel the number of its cube, where that is at least a quarter brain.

    Returns
    -------
    cell
        int, shape of the mask: number of the voxel's cube, -1 outside of the brain and of cubes
        that are kept.
    names
        ``x_y_z`` of each cube's centre in mm.
    """
    at = np.argwhere(mask)
    cube = np.floor((at @ affine[:3, :3].T + affine[:3, 3]) / cell_mm).astype(int)
    kinds, number, count = np.unique(cube, axis=0, return_inverse=True, return_counts=True)
    whole = cell_mm**3 / abs(np.linalg.det(affine[:3, :3]))
    kept = count >= _LEAST_FILLED * whole
    renumbered = np.where(kept, np.cumsum(kept) - 1, -1)
    cell = np.full(mask.shape, -1)
    cell[tuple(at.T)] = renumbered[number.ravel()]
    centres = (kinds[kept] + 0.5) * cell_mm
    return cell, ["_".join(f"{value:+g}" for value in centre) for centre in centres]


def _read(
    row: CohortRow,
    channel: str,
    shape: tuple[int, ...],
    affine: np.ndarray,
    *,
    series: bool = False,
) -> np.ndarray:
    path = image_of(row, channel)
    data, own = read_numbers(path)
    if data.ndim != 3 + series or data.shape[:3] != shape:
        raise BadData(f"{path} has shape {data.shape}, the template's brain mask {shape}.")
    if not np.allclose(own, affine, atol=1e-3):
        raise BadData(
            f"{path} lies elsewhere than the template's brain mask by its header; prepare it with "
            "the recipe."
        )
    return data
