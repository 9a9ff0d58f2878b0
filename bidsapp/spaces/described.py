"""Read the numbers that a file gives of a space, and say what of them cannot be used."""

from typing import Any

import numpy as np

from bidsapp.errors import BadData

Rows = tuple[tuple[float, ...], ...]

MOST_VOXELS = 32_767
"""Along one axis: what the header of a NIfTI-1 image can say."""


def read_affine(told: Any) -> Rows:
    """Read the affine that a description of a grid gives as four rows.

    Raises
    ------
    ValueError, TypeError, OverflowError
        It is not 4×4, not of finite numbers, or cannot be inverted.
    """
    rows = tuple(tuple(float(x) for x in row) for row in told)
    if [len(row) for row in rows] != [4] * 4 or not np.isfinite(rows).all():
        raise ValueError("grid_affine is not 4×4 finite numbers")
    if not np.linalg.det(rows):
        raise ValueError("grid_affine cannot be inverted")
    return rows


def read_voxels(name: str, told: Any, axes: int, least: int = 1) -> tuple[int, ...]:
    """Read how many voxels lie along each axis, or at which of them a part begins.

    Parameters
    ----------
    name
        Of the key, for the message.
    told
        What the file has under it.
    axes
        How many numbers there must be.
    least
        The smallest that can be; the largest is `MOST_VOXELS`.

    Raises
    ------
    ValueError
        It is not so many whole numbers, or one of them is smaller or larger.
    """
    numbers = told if isinstance(told, list | tuple) else ()
    if len(numbers) != axes or not all(
        type(number) is int and least <= number <= MOST_VOXELS for number in numbers
    ):
        raise ValueError(f"{name} is not {axes} whole numbers from {least} to {MOST_VOXELS}")
    return tuple(numbers)


def unusable(what: str, error: Exception) -> BadData:
    """Tell what a description of a space lacks, or what of it cannot be used."""
    reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
    return BadData(f"the description of the {what} cannot be used: {reason}")
