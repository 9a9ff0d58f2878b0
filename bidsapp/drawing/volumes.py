"""Volumes to look at: read in RAS order, cropped, and cut into slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bidsapp.errors import BadData
from bidsapp.intake.images import open_image

AXES = {"sagittal": 0, "coronal": 1, "axial": 2}
PLANES = ("axial", "coronal", "sagittal")
_MIDLINE_MM = 6.0  # nearer to the middle a sagittal slice belongs to neither side
_INSET = 0.08  # the outermost slices lie this share of the object inside it


@dataclass(frozen=True)
class Volume:
    """A volume in RAS order.

    Attributes
    ----------
    data
        (x, y, z); x grows to the right, y to the front, z to the top.
    affine
        4 × 4, voxel indices to RAS millimetres.
    """

    data: np.ndarray
    affine: np.ndarray

    @property
    def voxel_sizes(self) -> np.ndarray:
        """Voxel sizes (3,) in mm."""
        return np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))

    @property
    def tilt(self) -> float:
        """Largest angle between an axis of the image and the scanner's, in degrees."""
        cosines = np.abs(np.diag(self.affine[:3, :3]) / self.voxel_sizes)
        return float(np.degrees(np.arccos(np.clip(cosines, 0, 1))).max())

    def cropped(self, box: tuple[slice, slice, slice]) -> "Volume":
        """Give the part inside a box, with its affine."""
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ np.array([part.start for part in box], dtype=float)
        return Volume(self.data[box], affine)

    def like(self, data: np.ndarray) -> "Volume":
        """Give other values on the same grid."""
        return Volume(data, self.affine)


@dataclass(frozen=True)
class Cut:
    """One slice: across which axis, which index, and where that is.

    `position` is the coordinate in mm along the axis that the plane cuts, at the middle of the
    object (in a tilted volume it varies over the slice); `offset` is how far it lies from that
    middle, in mm.
    """

    plane: str
    index: int
    position: float
    offset: float

    @property
    def label(self) -> str:
        """Coordinate as it is printed, such as ``x = −24 mm``."""
        number = round(self.position)
        sign = "−" if number < 0 else "+" if number > 0 else ""
        return f"{'xyz'[AXES[self.plane]]} = {sign}{abs(number)} mm"

    @property
    def sides(self) -> tuple[str, str]:
        """What lies at the left and at the right border of the picture."""
        return ("P", "A") if self.plane == "sagittal" else ("L", "R")

    @property
    def hemisphere(self) -> str:
        """On which side of the object a sagittal slice lies; empty for the other planes.

        Counted from the middle of the object, as a head need not lie at the scanner's 0.
        """
        if self.plane != "sagittal":
            return ""
        if abs(self.offset) < _MIDLINE_MM:
            return "midline"
        return "right" if self.offset > 0 else "left"

    def of(self, data: np.ndarray) -> np.ndarray:
        """Take the slice out of (x, y, z): rows run down, columns to the right of the picture.

        Right is at the right (neurological convention), front at the right, top at the top.
        """
        # A view: numpy's take would copy the volume where it lies in Fortran order, as NIfTI does.
        return np.moveaxis(data, AXES[self.plane], 0)[self.index].T[::-1]


def read_volume(path: Path) -> Volume:
    """Read a NIfTI file (x, y, z) in RAS order, whatever the order on disk.

    Raises
    ------
    BadData
        It holds no single volume, or its affine maps none.
    """
    import nibabel as nib

    read = open_image(path)
    if len(read.shape) < 3 or 0 in read.shape or max(read.shape[3:], default=1) > 1:
        raise BadData(f"{path}: one volume (x, y, z) is expected; its shape is {read.shape}.")
    try:
        image = nib.as_closest_canonical(read)
    except nib.orientations.OrientationError:
        raise BadData(f"{path}: the affine in its header maps no volume") from None
    data = np.asanyarray(image.dataobj)
    return Volume(data.reshape(data.shape[:3]), np.asarray(image.affine, dtype=float))


def read_head(path: Path, mask: Path) -> tuple[Volume, Volume]:
    """Read an image as acquired, and a mask that was laid on its voxels, in RAS order.

    The image takes the affine of its mask: that is what was believed of its header.

    Raises
    ------
    ValueError
        The two differ in shape.
    """
    import nibabel as nib

    inside = open_image(mask)
    data = np.asanyarray(open_image(path).dataobj)
    data = data.reshape(data.shape[:3])
    if data.shape != inside.shape:
        raise ValueError(f"{mask} does not lie on the grid of {path}.")
    image = nib.as_closest_canonical(nib.Nifti1Image(data, inside.affine, dtype=data.dtype))
    head = Volume(np.asanyarray(image.dataobj), np.asarray(image.affine, dtype=float))
    return head, read_volume(mask)


def box_around(
    inside: np.ndarray, voxel_sizes: np.ndarray, margin_mm: float
) -> tuple[slice, slice, slice]:
    """Smallest box around the voxels `inside` with a margin, cut at the edges.

    The whole volume where nothing is inside.
    """
    box = []
    for axis, size in enumerate(voxel_sizes):
        others = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero(inside.any(axis=others))
        wide = int(np.ceil(margin_mm / size))
        low, high = (found[0] - wide, found[-1] + 1 + wide) if found.size else (0, 10**9)
        box.append(slice(max(0, int(low)), min(inside.shape[axis], int(high))))
    return box[0], box[1], box[2]


def choose_cuts(inside: Volume, planes: Sequence[str] = PLANES, count: int = 7) -> list[Cut]:
    """Spread slices evenly over an object.

    Parameters
    ----------
    inside
        Mask of the object; the whole volume counts where it is empty.
    planes
        Of ``axial``, ``sagittal`` and ``coronal``, in the order of the rows.
    count
        Slices per plane; in a volume of fewer slices some come twice.
    """
    box = box_around(inside.data.astype(bool), inside.voxel_sizes, 0)
    middle = np.array([(part.start + part.stop - 1) / 2 for part in box])
    cuts = []
    for plane in planes:
        axis = AXES[plane]
        extent = box[axis].stop - box[axis].start
        inset = _INSET * extent
        places = np.linspace(box[axis].start + inset, box[axis].stop - 1 - inset, count)
        for index in np.rint(places).astype(int):
            centre = middle.copy()
            centre[axis] = index
            position = (inside.affine @ np.append(centre, 1))[axis]
            offset = (index - middle[axis]) * inside.voxel_sizes[axis]
            cuts.append(Cut(plane, int(index), float(position), float(offset)))
    return cuts
