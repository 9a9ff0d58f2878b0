"""Necks for tests: a picture of one in world coordinates, sampled on voxels stored in any order."""

from pathlib import Path

import nibabel as nib
import numpy as np

from bidsapp.modalities.spine.stack import Stack, read_stack

# Where things lie in an upright patient, mm: a foramen 20 mm beside the midline, 5 mm in front of
# the cord's middle; the midline is not the centre of any field of view.
MIDLINE, FORAMEN, CORD_Y = 3.0, 20.0, -10.0
FORAMEN_Y = CORD_Y + 5.0
LEVEL_Z = -4.0


def neck(points: np.ndarray, side: str = "L") -> np.ndarray:
    """Intensities at RAS points (..., 3): a symmetric neck with a bright foramen on one side.

    The foramen of the other side is dark. Farther out lies a fainter spot, and in front a fainter
    one still, so that a turned picture is told from a right one.
    """
    x, y = points[..., 0] - MIDLINE, points[..., 1] - CORD_Y
    z = points[..., 2] - LEVEL_Z
    # far out tissue goes on: no scanner's field of view ends inside the neck
    body = np.exp(-(((x / 70) ** 2 + (y / 60) ** 2) ** 2))
    image = 60 * body + 150 * np.exp(-(x**2 + y**2) / (2 * 5.0**2))
    outward = x if side == "R" else -x
    for along, front, bright in (
        (FORAMEN, 5.0, 400),
        (FORAMEN + 9, 5.0, 250),
        (FORAMEN, 13.0, 180),
    ):
        near = (outward - along) ** 2 + (y - front) ** 2
        image += bright * np.exp(-near / (2 * 2.0**2)) * np.exp(-((z / 8) ** 2))
    return image


def grid(
    order: tuple[int, int, int] = (0, 1, 2),
    flips: tuple[int, int, int] = (1, 1, 1),
    degrees: tuple[float, float, float] = (0.0, 0.0, 0.0),
    sizes: tuple[float, float, float] = (0.8, 0.8, 4.0),
    shape: tuple[int, int, int] = (120, 110, 9),
) -> tuple[tuple[int, int, int], np.ndarray]:
    """Shape and affine of voxels stored in any order and turned.

    Parameters
    ----------
    order
        Which of right, front and up each axis of the file runs along.
    flips
        1, or -1 where it runs the other way.
    degrees
        Turns about x, y and z.
    sizes, shape
        Voxels along right, front and up.
    """
    a, b, c = np.radians(degrees)
    turn = (
        np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
        @ np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
        @ np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    )
    affine = np.eye(4)
    for axis, (world, flip) in enumerate(zip(order, flips, strict=True)):
        affine[:3, axis] = turn[:, world] * sizes[world] * flip
    stored = (shape[order[0]], shape[order[1]], shape[order[2]])
    middle = (np.array(stored) - 1) / 2
    affine[:3, 3] = np.array([1.0, CORD_Y + 2, LEVEL_Z]) - affine[:3, :3] @ middle
    return stored, affine


def sampled(shape: tuple[int, int, int], affine: np.ndarray, side: str = "L") -> np.ndarray:
    """Intensities of the neck at the voxels of a grid."""
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return neck(places @ affine[:3, :3].T + affine[:3, 3], side).astype(np.float32)


def save(path: Path, data: np.ndarray, affine: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, path)
    return path


def stack_of(tmp_path: Path, side: str = "L", **how: object) -> Stack:
    """A neck written and read as the app reads it."""
    shape, affine = grid(**how)  # type: ignore[arg-type]
    return read_stack(save(tmp_path / "neck_T2w.nii", sampled(shape, affine, side), affine))


def foramen_mm(side: str) -> np.ndarray:
    """RAS mm of the bright foramen."""
    return np.array([MIDLINE + (FORAMEN if side == "R" else -FORAMEN), FORAMEN_Y, LEVEL_Z])


def box_about(
    stack: Stack, point: np.ndarray, half_mm: float = 15.0
) -> tuple[int, tuple[int, ...]]:
    """Slice and box (i0, i1, j0, j1) of the file around a RAS point, found through the affine."""
    inverse = np.linalg.inv(stack.affine)
    at = inverse[:3, :3] @ point + inverse[:3, 3]
    sizes = np.linalg.norm(stack.affine[:3, :3], axis=0)
    box: list[int] = []
    for axis in stack.box_axes:
        half = half_mm / sizes[axis]
        box += [round(at[axis] - half), round(at[axis] + half)]
    return round(at[stack.slice_axis]), tuple(box)
