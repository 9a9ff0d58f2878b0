"""Orientation rescue: which way up a head is when its header does not say."""

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bidsapp.modalities.t1w.brainmask import orientation_uncertainty
from bidsapp.modalities.t1w.reading import Head

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Turn:
    """A rotation of a voxel array by right angles.

    Attributes
    ----------
    axes
        Old axis that becomes each new one.
    flips
        Whether each new axis runs backwards.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def apply(self, data: np.ndarray) -> np.ndarray:
        """Turn an array (x, y, z)."""
        turned = data.transpose(self.axes)
        steps = tuple(slice(None, None, -1 if flip else None) for flip in self.flips)
        return np.ascontiguousarray(turned[steps])

    def undo(self, data: np.ndarray) -> np.ndarray:
        """Turn an array back."""
        steps = tuple(slice(None, None, -1 if flip else None) for flip in self.flips)
        return np.ascontiguousarray(data[steps].transpose(np.argsort(self.axes)))

    def index_matrix(self, shape: tuple[int, ...]) -> np.ndarray:
        """4 × 4 from voxel indices after the turn to those before; `shape` is the one before."""
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for new, (old, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            matrix[old, new] = -1 if flip else 1
            matrix[old, 3] = shape[old] - 1 if flip else 0
        return matrix


def turns() -> list[Turn]:
    """Give the 24 rotations of a cube, the one that changes nothing first."""
    found = []
    for axes in itertools.permutations(range(3)):
        for flips in itertools.product((False, True), repeat=3):
            matrix = np.eye(3)[list(axes)] * np.where(flips, -1, 1)[:, None]
            if np.linalg.det(matrix) > 0:
                found.append(Turn(axes, flips))  # type: ignore[arg-type]
    return found


def upright(head: Head, device: "torch.device") -> tuple[Head, Turn, np.ndarray]:
    """Turn a head the way the brain-extraction network is least unsure about.

    The header's directions are set aside: the axes of the turned array are taken to run exactly
    left–right, posterior–anterior and inferior–superior. Only rotations are tried, as a mirrored
    brain cannot be told from one that is not.

    Parameters
    ----------
    head
        As read.
    device
        Where the network runs.

    Returns
    -------
    head : Head
        Turned, with an affine of its own.
    turn : Turn
        What was done to the voxels.
    correction : ndarray
        4 × 4, from the turned head's millimetres to the header's (both RAS).
    """
    best = min(turns(), key=lambda turn: orientation_uncertainty(turn.apply(head.data), device))
    data = best.apply(head.data)
    sizes = head.voxel_sizes[list(best.axes)]
    affine = np.diag([*sizes, 1.0])
    affine[:3, 3] = -sizes * (np.array(data.shape) - 1) / 2
    correction = head.affine @ best.index_matrix(head.data.shape) @ np.linalg.inv(affine)
    turned = replace(
        head, data=data, affine=affine, notes=list(head.notes), outside=None, holes=None
    )
    return turned, best, correction


def tilts() -> tuple[np.ndarray, ...]:
    """Give rotations (3 × 3) to start the affine from: none, and nods and leans by 25° and 50°."""
    found = [np.eye(3)]
    for degrees in (-50, -25, 25, 50):
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        found.append(np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]))
    for degrees in (-25, 25):
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        found.append(np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]]))
        found.append(np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]))
    return tuple(found)
