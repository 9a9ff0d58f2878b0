"""A head into a box of voxels: turned, resampled in one step, padded, and cropped around itself."""

from dataclasses import dataclass

import numpy as np

Box = tuple[int, int, int]
_SAME_MM = 1e-3


@dataclass(frozen=True)
class BoxGrid:
    """A box of voxels over a head, in the head's own millimetres.

    Attributes
    ----------
    shape
        Voxels along the axes, as they are stored.
    affine
        4 × 4, voxel indices to the scanner's millimetres (RAS+); tilted as the image is.
    whole
        Whether every voxel of the box, as far as the image reaches, is one of the image's.
    padded, cropped
        Voxels of the box added, and voxels cut off, at both ends of each axis: (3, 2).
    """

    shape: Box
    affine: np.ndarray
    whole: bool
    padded: tuple[tuple[int, int], ...]
    cropped: tuple[tuple[int, int], ...]


def turned(affine: np.ndarray, shape: Box, axes: str) -> tuple[np.ndarray, Box, np.ndarray]:
    """Turn a grid so that its axes run as told, the closest that its own directions come.

    Returns
    -------
    affine
        4 × 4 of the turned grid.
    shape
        Of the turned grid.
    orientation
        (3, 2) as nibabel's ``apply_orientation`` takes it, for the values.
    """
    from nibabel.orientations import axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

    change = ornt_transform(io_orientation(affine), axcodes2ornt(tuple(axes)))
    order = np.argsort(change[:, 0]).astype(int)
    a, b, c = (shape[axis] for axis in order)
    return affine @ inv_ornt_aff(change, shape), (a, b, c), change


def box_grid(
    affine: np.ndarray,
    shape: Box,
    axes: str,
    spacing: float | None,
    box: Box,
    head: np.ndarray,
    brain: np.ndarray,
) -> BoxGrid:
    """Lay a box over an image.

    Where the image is smaller than the box along an axis it is padded alike at both ends, an odd
    rest at the end; where it is larger it is cropped so that the middle of the head is in the
    middle of the box, as far as the image reaches and the whole brain is in it.

    Parameters
    ----------
    affine, shape
        Of the image, in any order of voxels.
    axes
        Where the axes of the box run, such as ``RAS``.
    spacing
        Edge of its voxels in mm; None for the image's own.
    box
        Its voxels along these axes.
    head, brain
        (n, 3) points in mm, between whose ends along each axis head and brain lie.
    """
    own, there, _ = turned(affine, shape, axes)
    sizes = np.linalg.norm(own[:3, :3], axis=0)
    wanted = sizes if spacing is None else np.full(3, float(spacing))
    same = np.abs(sizes - wanted) < _SAME_MM
    steps = np.where(same, 1.0, wanted / sizes)
    count = np.where(same, there, np.maximum(1, np.ceil(np.array(there) / steps - 1e-6)))
    count = count.astype(int)
    # the resampled image has the same middle as the image
    first = (np.array(there) - 1) / 2 - steps * (count - 1) / 2
    (low, high), (first_of, last_of) = (
        _ends(points, own, first, steps) for points in (head, brain)
    )
    start = np.empty(3, int)
    for axis, size in enumerate(box):
        if count[axis] <= size:
            start[axis] = -((size - count[axis]) // 2)
            continue
        needed = last_of[axis] + 1 - size, first_of[axis]  # where the box holds the whole brain
        wanted_start = (low[axis] + high[axis] - size + 1) / 2
        kept = np.clip(wanted_start, *needed) if needed[0] <= needed[1] else np.mean(needed)
        start[axis] = min(max(int(np.floor(kept + 0.5)), 0), count[axis] - size)
    to_own = np.eye(4)
    to_own[:3, :3] = np.diag(steps)
    to_own[:3, 3] = first + steps * start
    end = start + np.array(box) - count
    return BoxGrid(
        box,
        own @ to_own,
        bool(same.all()),
        tuple((int(max(0, -a)), int(max(0, b))) for a, b in zip(start, end, strict=True)),
        tuple((int(max(0, a)), int(max(0, -b))) for a, b in zip(start, end, strict=True)),
    )


def _ends(
    points: np.ndarray, own: np.ndarray, first: np.ndarray, steps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """First and last voxel of the resampled image, along each axis, between which points lie."""
    voxels = (np.linalg.inv(own) @ np.vstack([points.T, np.ones(len(points))]))[:3]
    places = (voxels - first[:, None]) / steps[:, None]
    return places.min(axis=1), places.max(axis=1)


def into_box(
    data: np.ndarray, affine: np.ndarray, axes: str, grid: BoxGrid, *, labels: bool = False
) -> np.ndarray:
    """Bring an image into a box that was laid over it.

    Voxels that keep their size are copied, not interpolated. Others are interpolated linearly,
    after smoothing along axes on which they become larger, so that nothing between two of them is
    skipped. A mask is what holds at least half of a voxel.

    Parameters
    ----------
    data, affine
        Image (x, y, z) and its voxels to mm, as `box_grid` was told.
    axes, grid
        Of the box.
    labels
        Whether it is a mask.

    Returns
    -------
    ndarray
        (*box) float32, or bool of a mask; 0 where the image does not reach.
    """
    from nibabel.orientations import apply_orientation
    from scipy.ndimage import affine_transform, gaussian_filter1d

    own, _, change = turned(affine, data.shape, axes)
    values = apply_orientation(np.asarray(data, np.float32), change)
    to_own = np.linalg.inv(own) @ grid.affine
    steps, first = np.diag(to_own)[:3], to_own[:3, 3]
    if grid.whole:
        found = np.zeros(grid.shape, np.float32)
        starts = np.rint(first).astype(int)
        inner, outer = [], []
        for start, size, there in zip(starts, grid.shape, values.shape, strict=True):
            low, high = max(start, 0), min(start + size, there)
            inner.append(slice(low - start, max(low, high) - start))
            outer.append(slice(low, max(low, high)))
        found[tuple(inner)] = values[tuple(outer)]
    else:
        for axis, step in enumerate(steps):
            if step > 1 + 1e-6:  # a voxel of the box covers several
                sigma = np.sqrt(step**2 - 1) / 2.355
                values = gaussian_filter1d(values, sigma, axis=axis, mode="nearest")
        found = affine_transform(
            values, np.diag(steps), offset=first, output_shape=grid.shape, order=1, mode="constant"
        )
    return found >= 0.5 if labels else np.asarray(found, np.float32)
