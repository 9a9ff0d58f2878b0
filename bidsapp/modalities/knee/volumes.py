"""Masks of voxels: their box, their largest piece."""

import numpy as np


def bounding_box(mask: np.ndarray, margin: int) -> tuple[slice, slice, slice]:
    """Box around a mask, widened by some voxels within the array."""
    found = []
    for axis in range(3):
        others = tuple(i for i in range(3) if i != axis)
        there = np.flatnonzero(mask.any(others))
        found.append(slice(max(0, there[0] - margin), there[-1] + 1 + margin))
    return found[0], found[1], found[2]


def largest_piece(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Keep the largest connected piece without holes, and count other pieces of some size."""
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    if count == 0:
        return mask, 0
    sizes = np.bincount(labels.ravel())[1:]
    largest = int(sizes.argmax())
    others = int((np.delete(sizes, largest) > 0.01 * sizes[largest]).sum())
    return ndimage.binary_fill_holes(labels == largest + 1), others
