"""The stage that maps are shown on: the template's brain on the maps' grid, cropped to it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bidsapp.derivatives.temporary import temporary_folder
from bidsapp.drawing.volumes import Volume, box_around, read_volume

_MARGIN_MM = 4.0
_FINE_MM = 1.6  # maps with smaller voxels are thinned, as a page is no place for a millimetre


@dataclass(frozen=True)
class Stage:
    """The template's brain where maps are shown.

    Attributes
    ----------
    brain
        Intensities, 0 outside the brain, on the grid that is shown.
    inside
        (x, y, z) bool, the brain.
    box, step
        How that grid is cut out of the maps' grid.
    grid
        Shape of the maps' grid.
    """

    brain: Volume
    inside: np.ndarray
    box: tuple[slice, slice, slice]
    step: int
    grid: Volume

    def fit(self, values: Volume) -> np.ndarray:
        """Cut a map to the stage, float32; what is not finite becomes 0.

        Raises
        ------
        ValueError
            The map lies on another grid than the first one.
        """
        same = values.data.shape == self.grid.data.shape
        if not same or not np.allclose(values.affine, self.grid.affine, atol=1e-3):
            raise ValueError("the maps of this run lie on different grids")
        data = np.nan_to_num(np.asarray(values.data, np.float32), posinf=0, neginf=0)
        return _thinned(data, self.step)[self.box]


def read_map(path: Path) -> Volume:
    """Read a map in RAS order."""
    return read_volume(path)


def stage_of(template: str, grid: Volume) -> Stage:
    """Bring the template's brain to the grid of a map.

    Parameters
    ----------
    template
        Its name, as the recipe has it.
    grid
        The map.

    Raises
    ------
    NociCastError
        The template cannot be had here.
    """
    from bidsapp.templates import brain_template, resolve_template

    with temporary_folder(Path(tempfile.gettempdir())) as home:
        brain, _ = brain_template(resolve_template(template, home=home))
        source = np.asarray(brain.dataobj, dtype=np.float32)
        affine = np.asarray(brain.affine, dtype=float)
    step = 2 if float(grid.voxel_sizes.min()) < _FINE_MM else 1
    shape = tuple(-(-size // step) for size in grid.data.shape)
    shown = grid.affine @ np.diag([step, step, step, 1.0])
    # the middle of a block of step voxels
    shown[:3, 3] += grid.affine[:3, :3] @ np.full(3, (step - 1) / 2)
    data = _resampled(source, affine, shape, shown)
    inside = data > 0.02 * float(data.max(initial=0))
    whole = Volume(data, shown)
    box = box_around(inside, whole.voxel_sizes, _MARGIN_MM)
    return Stage(
        whole.cropped(box), inside[box], box, step, grid.like(np.empty(grid.data.shape, bool))
    )


def _resampled(
    source: np.ndarray, affine: np.ndarray, shape: tuple[int, ...], target: np.ndarray
) -> np.ndarray:
    from scipy.ndimage import affine_transform, uniform_filter

    to_source = np.linalg.inv(affine) @ target
    sizes = np.sqrt((to_source[:3, :3] ** 2).sum(axis=0))
    smooth = uniform_filter(source, np.maximum(1, np.rint(sizes)).astype(int).tolist())
    return np.asarray(
        affine_transform(smooth, to_source[:3, :3], to_source[:3, 3], output_shape=shape, order=1)
    )


def _thinned(data: np.ndarray, step: int) -> np.ndarray:
    """Mean over blocks of `step` voxels along each axis; the last block may be cut."""
    if step == 1:
        return data
    wide = [(0, -size % step) for size in data.shape]
    padded = np.pad(data, wide, mode="edge")
    blocks = [number for size in padded.shape for number in (size // step, step)]
    return padded.reshape(blocks).mean(axis=(1, 3, 5))
