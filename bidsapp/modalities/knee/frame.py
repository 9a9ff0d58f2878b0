"""The knee's own frame: millimetres along lateral, anterior and superior, for right and left alike.

Arrays are turned so that their axes run to the right, to the front and up, as nearly as the image
lies; a left knee is mirrored, so that the first axis runs to the lateral side in every knee.
Positions are voxel numbers times voxel sizes, hence the image's own axes, which are set along the
joint at the scanner. A rotation of the patient in the scanner does not enter.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bidsapp.errors import BadData

Side = Literal["L", "R"]
_LEAST_VOXEL, _MOST_VOXEL = 0.1, 5.0


@dataclass(frozen=True)
class Frame:
    """Where the knee's frame lies in the scanner.

    Attributes
    ----------
    spacing
        Millimetres between voxels along lateral, anterior and superior.
    to_world
        (4, 4) from the frame's millimetres to the scanner's, RAS+.
    mirrored
        Whether it is a left knee, mirrored.
    """

    spacing: tuple[float, float, float]
    to_world: np.ndarray
    mirrored: bool

    def world(self, points: np.ndarray) -> np.ndarray:
        """Millimetres of the scanner, RAS+, of (n, 3) points of the frame."""
        return np.asarray(points @ self.to_world[:3, :3].T + self.to_world[:3, 3])

    def local(self, points: np.ndarray) -> np.ndarray:
        """Millimetres of the frame of (n, 3) points of the scanner."""
        back = np.linalg.inv(self.to_world)
        return np.asarray(points @ back[:3, :3].T + back[:3, 3])


def axis_order(affine: np.ndarray) -> np.ndarray:
    """(3, 2) of each axis of an array the nearest axis of RAS+, and 1 or -1.

    Raises
    ------
    BadData
        The axes have no directions.
    """
    from nibabel.orientations import io_orientation

    order = np.asarray(io_orientation(affine))
    if not np.isfinite(order).all():
        raise BadData("The header gives an axis no direction; convert the image again.")
    return order


def to_frame(data: np.ndarray, affine: np.ndarray, side: Side) -> tuple[np.ndarray, Frame]:
    """Turn an array into the knee's frame.

    Parameters
    ----------
    data
        (i, j, k), in whatever order its axes are.
    affine
        (4, 4) from its voxels to the scanner's millimetres, RAS+.
    side
        Of the knee.

    Returns
    -------
    data
        (lateral, anterior, superior); a view where that is enough.
    frame

    Raises
    ------
    BadData
        The voxels are no size that an image of a knee has, or axes have no directions.
    """
    from nibabel.orientations import apply_orientation, inv_ornt_aff

    order = axis_order(affine)
    turned = np.asarray(apply_orientation(data, order))
    matrix = affine @ inv_ornt_aff(order, data.shape)
    mirrored = side == "L"
    if mirrored:
        turned = turned[::-1]
        flip = np.diag([-1.0, 1, 1, 1])
        flip[0, 3] = turned.shape[0] - 1
        matrix = matrix @ flip
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    if (spacing < _LEAST_VOXEL).any() or (spacing > _MOST_VOXEL).any():
        sizes = " x ".join(f"{size:.3g}" for size in spacing)
        raise BadData(
            f"Voxels are {sizes} mm; expected {_LEAST_VOXEL} to {_MOST_VOXEL} mm. Correct the "
            "header, or convert the image again."
        )
    to_world = matrix @ np.diag([*(1 / spacing), 1.0])
    size = (float(spacing[0]), float(spacing[1]), float(spacing[2]))
    return turned, Frame(size, to_world, mirrored)
