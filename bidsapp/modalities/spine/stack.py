"""An axial series of the neck, read and checked, and its slices in the patient's directions."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bidsapp.errors import BadData
from bidsapp.intake.header import Placement, placement
from bidsapp.intake.images import open_image

RIGHT, FRONT, UP = 0, 1, 2
# A localiser has three slices, one in each direction.
MIN_SLICES = 4
# What is thicker than wide is a series of slices, and what is thicker than this shows no foramen
# when it is cut across.
SERIES_RATIO = 1.5
THICKEST_ACROSS_MM = 1.5
MIN_EXTENT_MM = 30.0
# Farther from the patient's left-right, the nearer axis of the voxels is no longer certain.
MOST_TURNED_DEGREES = 40.0
# Slices thinner than this share of what is asked for are averaged.
_THIN = 0.75


@dataclass(frozen=True)
class Plane:
    """One slice, seen in the patient's own directions.

    Attributes
    ----------
    values
        Intensities (x, y), float32; x grows to the patient's right, y to the front.
    affine
        4 × 4, (x, y, 0) to RAS mm. The third column is as long as the slice is thick, and points
        up.
    """

    values: np.ndarray
    affine: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Sizes (2,) of a pixel in mm."""
        return np.linalg.norm(self.affine[:3, :2], axis=0)


@dataclass(frozen=True)
class Stack:
    """Slices of a neck, in the order of the file.

    Attributes
    ----------
    data
        Intensities (i, j, k), float32, finite.
    affine
        4 × 4, indices of the file to RAS mm.
    axes
        Axes of the file that run closest to left–right, posterior–anterior, inferior–superior.
    flipped
        Of each of these, whether the index grows to the left, to the back, or downwards.
    notes
        What was repaired or is doubtful, a sentence each.
    """

    data: np.ndarray
    affine: np.ndarray
    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]
    notes: tuple[str, ...] = ()

    @property
    def slice_axis(self) -> int:
        """Axis of the file along which slices are counted."""
        return self.axes[UP]

    @property
    def slices(self) -> int:
        """How many slices there are."""
        return int(self.data.shape[self.slice_axis])

    @property
    def spacing(self) -> float:
        """Distance of two slices in mm."""
        return float(np.linalg.norm(self.affine[:3, self.slice_axis]))

    @property
    def box_axes(self) -> tuple[int, int]:
        """Axes of the file that a box's i and j count along: the other two, in the file's order."""
        first, second = sorted(self.axes[:UP])
        return first, second

    def plane(self, index: int, thickness: float = 0.0) -> Plane:
        """Give a slice.

        Parameters
        ----------
        index
            Counted from 0 along `slice_axis`, as the file has it.
        thickness
            In mm: slices thinner than that are averaged over so much, centred on this one.

        Returns
        -------
        Plane
        """
        right, front, up = self.axes
        reach = (thickness / self.spacing - 1) / 2 if self.spacing <= _THIN * thickness else 0.0
        places = np.arange(self.slices)
        weights = np.clip(reach + 1 - np.abs(places - index), 0, 1)
        used = np.flatnonzero(weights)
        slab = self.data.take(used, axis=up)
        values = np.tensordot(slab, weights[used] / weights[used].sum(), axes=(up, 0))
        if right > front:
            values = values.T
        values = values[:: -1 if self.flipped[RIGHT] else 1, :: -1 if self.flipped[FRONT] else 1]
        affine = np.eye(4)
        corner = np.zeros(3)
        for place, axis in enumerate(self.axes):
            sign = -1 if self.flipped[place] else 1
            affine[:3, place] = sign * self.affine[:3, axis]
            if place != UP and self.flipped[place]:
                corner[axis] = self.data.shape[axis] - 1
        corner[up] = index
        affine[:3, 3] = self.affine[:3, :3] @ corner + self.affine[:3, 3]
        affine[:3, UP] *= max((2 * reach) + 1, 1)
        return Plane(np.ascontiguousarray(values, dtype=np.float32), affine)

    def in_plane(self, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """Turn a box of the file to the pixels of `plane`.

        Parameters
        ----------
        box
            First and last voxel along each of `box_axes`: i0, i1, j0, j1.

        Returns
        -------
        tuple of int
            x0, x1, y0, y1: first and last pixel, to the right and to the front.
        """
        along = dict(zip(self.box_axes, (box[:2], box[2:]), strict=True))
        turned: list[int] = []
        for place in (RIGHT, FRONT):
            axis = self.axes[place]
            first, last = along[axis]
            if self.flipped[place]:
                top = self.data.shape[axis] - 1
                first, last = top - last, top - first
            turned += [first, last]
        return turned[0], turned[1], turned[2], turned[3]

    def in_file(self, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """Turn pixels of `plane` (x0, x1, y0, y1) to a box of the file: `in_plane` backwards."""
        along = {}
        for place, (first, last) in ((RIGHT, box[:2]), (FRONT, box[2:])):
            top = self.data.shape[self.axes[place]] - 1
            along[self.axes[place]] = (
                (top - last, top - first) if self.flipped[place] else (first, last)
            )
        (i0, i1), (j0, j1) = (along[axis] for axis in self.box_axes)
        return i0, i1, j0, j1


def read_stack(path: Path) -> Stack:
    """Read an axial T2w of the neck: a series of axial slices, or a volume that can be cut so.

    Raises
    ------
    NoInput
        The file is not there or may not be read.
    BadData
        It is damaged, not one grey-scale volume, constant, too small, of another orientation than
        axial, or does not say which side is left.
    """
    image = open_image(path)
    shape = image.shape
    if image.get_data_dtype().kind not in "iuf":
        raise BadData(f"{path} holds colours or complex numbers; a T2w image must be grey-scale.")
    if len(shape) < 3 or 0 in shape or any(size != 1 for size in shape[3:]):
        raise BadData(
            f"{path} has the shape {shape}; an axial T2w image must be one volume of slices."
        )
    place = placement(path, image)
    axes, flipped = directions(path, place)
    _check_size(path, shape[:3], place.affine, axes)
    data = np.asarray(image.dataobj, dtype=np.float32).reshape(shape[:3])
    notes = list(place.notes)
    missing = ~np.isfinite(data)
    if missing.any():
        notes.append(f"{int(missing.sum())} voxels were NaN or infinite and count as 0.")
        data = np.where(missing, np.float32(0), data)
    if data.min() == data.max():
        raise BadData(f"{path} has the same value everywhere; convert it again.")
    return Stack(data, place.affine, axes, flipped, tuple(notes))


def directions(
    path: Path, place: Placement
) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Find the voxel axes nearest to right, front and up, and which of them run the other way.

    Raises
    ------
    BadData
        The header does not say which side is left, or the image is turned so far that the nearest
        axis is not certain.
    """
    from nibabel.orientations import io_orientation

    if not place.orientation_known:
        why = next((note for note in place.notes if "left and right" in note), "")
        raise BadData(
            f"{path}: left and right are not known, and the side of an injection needs them. {why} "
            "Convert it again from the DICOM files with a tool that writes sform and qform."
        )
    found = io_orientation(place.affine)
    if np.isnan(found).any():
        raise BadData(f"{path}: its affine does not tell its axes apart; convert it again.")
    axes = tuple(int(np.flatnonzero(found[:, 0] == world)[0]) for world in range(3))
    flipped = tuple(bool(found[axis, 1] < 0) for axis in axes)
    column = place.affine[:3, axes[RIGHT]]
    turned = float(np.degrees(np.arccos(abs(column[0]) / np.linalg.norm(column))))
    if turned > MOST_TURNED_DEGREES:
        raise BadData(
            f"{path} is turned by {turned:.0f}° away from left–right (at most "
            f"{MOST_TURNED_DEGREES:.0f}°), so the injected half cannot be told. Resample it along "
            "the patient's axes, or repair its header."
        )
    return (axes[0], axes[1], axes[2]), (flipped[0], flipped[1], flipped[2])


def _check_size(
    path: Path, shape: tuple[int, ...], affine: np.ndarray, axes: tuple[int, int, int]
) -> None:
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    thickest = int(np.argmax(sizes))
    others = np.delete(sizes, thickest)
    if (
        thickest != axes[UP]
        and sizes[thickest] >= SERIES_RATIO * others.mean()
        and sizes[thickest] > THICKEST_ACROSS_MM
    ):
        kind = "sagittal" if thickest == axes[RIGHT] else "coronal"
        raise BadData(
            f"{path} is a {kind} series (its slices of {sizes[thickest]:.3g} mm follow one another "
            f"from {'left to right' if kind == 'sagittal' else 'back to front'}); an axial series "
            "is expected. Choose the axial T2w with --bids-filter-file, for instance by its acq-."
        )
    slices = shape[axes[UP]]
    if slices < MIN_SLICES:
        raise BadData(
            f"{path} has {slices} slice{'s' * (slices != 1)}, as a localiser has; an axial series "
            f"of the neck has at least {MIN_SLICES}. Choose another with --bids-filter-file."
        )
    extent = [shape[axis] * sizes[axis] for axis in axes[:UP]]
    if min(extent) < MIN_EXTENT_MM:
        raise BadData(
            f"{path} is {extent[0]:.0f} mm wide and {extent[1]:.0f} mm deep; at least "
            f"{MIN_EXTENT_MM:.0f} mm each are needed to see a foramen. Check the voxel sizes in "
            "its header."
        )
