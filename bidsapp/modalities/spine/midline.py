"""The midline of a neck on an axial slice: from the cord, the slice's symmetry, or the centre."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bidsapp.modalities.spine.stack import RIGHT, Plane, Stack

# The cord runs nearly straight down: a mask that ends a little above still tells its place.
_NEAR_MM = 12.0
# Slices around the injected one that are averaged: a neck is more symmetric than one of its slices.
_SLAB_MM = 10.0
_PIXEL_MM = 1.0
_COARSE_MM, _COARSE_STEP_MM, _FINE_MM = 25.0, 5.0, 4.0
_BLUR_MM = 1.5
# A neck lies within this share of the field of view around its centre.
_SEARCHED = 0.25
_SEARCHED_MM = 45.0
# Compared on either side of the midline: spine and the muscles beside it, not shoulders.
_HALF_WIDTH_MM = 35.0
_LEAST_HALF_MM = 15.0
LEAST_LIKENESS = 0.5
"""Correlation of a slice with its mirror image below which no midline is read from it."""
HOWS = ("cord", "symmetry", "centre")


@dataclass(frozen=True)
class Midline:
    """Where a slice is cut into halves: a straight line from back to front.

    Attributes
    ----------
    x
        Place along the x of the plane, in pixels; 0 is the centre of the leftmost pixel.
    how
        ``cord`` (a mask of the cord), ``symmetry`` (of the slice) or ``centre`` (of the field of
        view).
    likeness
        Correlation of the two halves about the best axis of symmetry, −1 to 1; None where the
        image is too narrow for it.
    others
        For each other way that gives a midline, how far to the right of the used one it lies, mm.
    """

    x: float
    how: str
    likeness: float | None = None
    others: Mapping[str, float] = field(default_factory=dict)


def find_midline(
    stack: Stack, index: int, cord: np.ndarray | None = None, wanted: str = "auto"
) -> Midline:
    """Find the midline of a slice.

    Parameters
    ----------
    stack
        The series.
    index
        The slice, counted from 0.
    cord
        Mask of the cord on the voxels of `stack`, where there is one.
    wanted
        ``auto`` takes the cord's mask where it reaches this slice, else the slice's symmetry where
        it is clear, else the centre; one of `HOWS` asks for that way alone.

    Returns
    -------
    Midline

    Raises
    ------
    ValueError
        What was asked for is not to be had here; the text says why.
    """
    plane = stack.plane(index)
    found = {"centre": (plane.values.shape[0] - 1) / 2}
    by_symmetry = symmetry_axis(stack, index)
    likeness = by_symmetry[1] if by_symmetry else None
    if by_symmetry and by_symmetry[1] >= LEAST_LIKENESS:
        found["symmetry"] = by_symmetry[0]
    by_cord = None if cord is None else cord_place(stack, index, cord)
    if by_cord is not None:
        found["cord"] = by_cord
    how = next(way for way in HOWS if way in found) if wanted == "auto" else wanted
    if how not in found:
        raise ValueError(_NOT_TO_BE_HAD[how])
    size = plane.sizes[0]
    others = {way: (found[way] - found[how]) * size for way in HOWS if way in found and way != how}
    return Midline(found[how], how, likeness, others)


_NOT_TO_BE_HAD = {
    "cord": f"no mask of the cord comes within {_NEAR_MM:.0f} mm of the slice",
    "symmetry": f"the halves are too unlike (correlation below {LEAST_LIKENESS})",
}


def cord_place(stack: Stack, index: int, cord: np.ndarray) -> float | None:
    """Find the middle of the cord in a slice, along the x of its plane in pixels.

    Of a slice without cord the nearest with it is taken; None where it is too far.
    """
    right, _, up = stack.axes
    mask = cord > 0
    filled = np.flatnonzero(mask.any(axis=tuple(axis for axis in range(3) if axis != up)))
    if not filled.size:
        return None
    nearest = int(filled[np.argmin(np.abs(filled - index))])
    if abs(nearest - index) * stack.spacing > _NEAR_MM:
        return None
    near = filled[np.abs(filled - nearest) * stack.spacing <= _SLAB_MM / 2]
    voxels = np.argwhere(mask.take(near, axis=up))
    middle = float(voxels[:, right].mean())
    return stack.data.shape[right] - 1 - middle if stack.flipped[RIGHT] else middle


def symmetry_axis(stack: Stack, index: int) -> tuple[float, float] | None:
    """Find the line about which a slice is most like its mirror image.

    Every line within the middle half of the field of view is tried, half a millimetre apart; the
    likeness is the correlation of the slice with its mirror image over what lies within 35 mm of
    the line and inside the field of view on both sides. The line of a neck bends little from slice
    to slice: first the best line of the slices within 25 mm is found, then that of this slice
    near it.

    Returns
    -------
    x, likeness
        The line's place along x of the slice's plane in pixels, and the correlation there; None
        where less than 15 mm lie on either side of every line.
    """
    step = max(1, round(_COARSE_STEP_MM / stack.spacing))
    reach = int(_COARSE_MM / stack.spacing) // step
    near = [index + step * k for k in range(-reach, reach + 1)]
    width = stack.plane(index).values.shape[0]
    doubled, own = _likenesses(stack.plane(index, _SLAB_MM))
    curves = [
        own if k == index else _likenesses(stack.plane(k, _SLAB_MM))[1]
        for k in near
        if 0 <= k < stack.slices
    ]
    if not np.isfinite(own).any():
        return None
    around = np.mean(curves, axis=0)
    coarse = doubled[int(np.nanargmax(around))] / 2
    fine = np.where(np.abs(doubled / 2 - coarse) * _PIXEL_MM <= _FINE_MM, own + around, np.nan)
    best = int(np.nanargmax(fine))
    small = round(width * _pixel_width(stack) / _PIXEL_MM)
    x = (doubled[best] / 2 + 0.5) * (width / small) - 0.5
    return float(x), float(own[best])


def _pixel_width(stack: Stack) -> float:
    return float(np.linalg.norm(stack.affine[:3, stack.axes[RIGHT]]))


def _likenesses(plane: Plane) -> tuple[np.ndarray, np.ndarray]:
    """Twice the place of every line that is tried, in pixels of 1 mm, and its likeness."""
    from scipy.ndimage import gaussian_filter, zoom

    size = plane.sizes
    small = zoom(
        gaussian_filter(plane.values, _BLUR_MM / size),
        size / _PIXEL_MM,
        order=1,
        mode="nearest",
        grid_mode=True,
    )
    width = small.shape[0]
    centre, reach = (width - 1) / 2, min(_SEARCHED * width, _SEARCHED_MM / _PIXEL_MM)
    doubled = np.arange(np.ceil(2 * (centre - reach)), np.floor(2 * (centre + reach)) + 1)
    return doubled, np.array([_likeness(small, int(place)) for place in doubled])


def _likeness(values: np.ndarray, doubled: int) -> float:
    """Correlate the columns left of a line with those right of it; NaN where they are too few.

    `doubled` is twice the place of the line in pixels.
    """
    width = len(values)
    right = np.arange(doubled // 2 + 1, min(width, doubled + 1))
    right = right[: int(_HALF_WIDTH_MM / _PIXEL_MM)]
    left = doubled - right
    inside = (left >= 0) & (right < width)
    if np.count_nonzero(inside) < _LEAST_HALF_MM / _PIXEL_MM:
        return float("nan")
    one, other = values[right[inside]].ravel(), values[left[inside]].ravel()
    one, other = one - one.mean(), other - other.mean()
    scale = np.sqrt((one @ one) * (other @ other))
    return float(one @ other / scale) if scale > 0 else float("nan")
