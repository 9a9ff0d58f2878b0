"""Boxes proposed where none is placed yet: slice by labels of vertebrae, box by the cord's mask.

A proposal says where to look. It counts only after a person has kept it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bidsapp.errors import BadData
from bidsapp.modalities.spine.handcrafted import handcrafted_features
from bidsapp.modalities.spine.injections import SIDES, Injection
from bidsapp.modalities.spine.midline import Midline
from bidsapp.modalities.spine.region import LARGEST, make_region
from bidsapp.modalities.spine.roi_mask import mask_names, read_mask_on
from bidsapp.modalities.spine.roi_table import PROPOSED, Roi
from bidsapp.modalities.spine.stack import FRONT, RIGHT, Stack

# Of six boxes drawn by looking in five necks (1 mm, adults): 27 mm from the middle of the cord
# outwards and 28 mm deep, about a place 5 to 10 mm (median 6.6) in front of it; cords 12 mm wide.
OUTWARDS, DEPTH, IN_FRONT = 2.2, 2.2, 0.55
"""Width and depth of a box, and how far in front of the cord its middle lies, in widths of it."""
CORD_MM = (10.0, 16.0)
"""Widths of a cord: what a mask has beyond is not believed."""
NEAR_MM = 4.0
"""How far from the middle between two vertebrae the narrowest slice is looked for."""
OPEN = 0.75
"""Share of the way outwards along which a foramen is bright; less is a pedicle, or dark fat."""
_SLAB_MM = 10.0
_FIRST_THORACIC = 8


@dataclass(frozen=True)
class Cord:
    """The cord at one slice, in pixels of the slice's plane: its middle, and its width in mm."""

    middle: tuple[float, float]
    width_mm: float


def cord_at(stack: Stack, index: int, mask: np.ndarray) -> Cord | None:
    """Measure the cord over 10 mm around a slice; None where its mask does not come so near."""
    reach = int(_SLAB_MM / 2 / stack.spacing)
    near = range(max(0, index - reach), min(stack.slices, index + reach + 1))
    slab = np.moveaxis((mask > 0).take(near, axis=stack.slice_axis), stack.slice_axis, -1)
    if stack.axes[RIGHT] > stack.axes[FRONT]:
        slab = slab.swapaxes(0, 1)
    slab = slab[:: -1 if stack.flipped[RIGHT] else 1, :: -1 if stack.flipped[FRONT] else 1]
    filled = np.any(slab, axis=(0, 1))
    if not filled.any():
        return None
    x, y = np.argwhere(slab)[:, :2].mean(axis=0)
    wide = slab.max(axis=1)[:, filled].sum(axis=0)  # pixels from left to right in each slice
    size = float(stack.plane(index).sizes[RIGHT])
    return Cord((float(x), float(y)), float(np.clip(np.median(wide) * size, *CORD_MM)))


def box_beside(
    stack: Stack, index: int, side: str, mask: np.ndarray
) -> tuple[int, int, int, int] | None:
    """Give the box beside the cord on a slice.

    Returns
    -------
    tuple of int, or None
        x0, x1, y0, y1 in pixels of the slice's plane, cut at its edges; None where the mask does
        not come near the slice.
    """
    cord = cord_at(stack, index, mask)
    if cord is None:
        return None
    plane = stack.plane(index)
    (sx, sy), (nx, ny) = plane.sizes, plane.values.shape
    width, half = OUTWARDS * cord.width_mm / sx, DEPTH * cord.width_mm / sy / 2
    x, y = cord.middle[0], cord.middle[1] + IN_FRONT * cord.width_mm / sy
    ends = (x, x + width) if side == "R" else (x - width, x)
    # from the first pixel on that side of the middle
    x0, x1 = (np.ceil(ends[0]), np.floor(ends[1])) if side == "R" else map(np.floor, ends)
    box = np.rint([x0, x1, y - half, y + half]).astype(int)
    box[:2], box[2:] = box[:2].clip(0, nx - 1), box[2:].clip(0, ny - 1)
    return int(box[0]), int(box[1]), int(box[2]), int(box[3])


def boxes_beside(
    stack: Stack, slices: Sequence[int], mask: np.ndarray
) -> dict[str, list[tuple[int, int, int, int] | None]]:
    """Give the box beside the cord for each side and each of the slices; see `box_beside`."""
    return {side: [box_beside(stack, index, side, mask) for index in slices] for side in SIDES}


def read_vertebrae(path: Path, stack: Stack) -> dict[int, float]:
    """Read at which slice each vertebra lies, from a label map on the voxels of the image.

    Which label is which vertebra is said by its sidecar or look-up table, as of masks of foramina
    (``{"5": "C5"}``); where neither is there, 1 to 7 are C1 to C7, and 8 is T1.

    Returns
    -------
    dict
        Number of the vertebra (T1: 8) to its middle along the slices, in slices of the file.

    Raises
    ------
    NoInput, BadData
        As `read_mask_on`; also where no label is one of these vertebrae.
    """
    labels = read_mask_on(path, stack)
    names = mask_names(path)
    found: dict[int, float] = {}
    for value in (int(value) for value in np.unique(labels) if value > 0):
        number = _number(names.get(value, "")) if names else value
        if number is not None and 1 <= number <= _FIRST_THORACIC:
            found[number] = float(np.median(np.nonzero(labels == value)[stack.slice_axis]))
    if not found:
        raise BadData(
            f"{path}: no label is one of the vertebrae C1 to T1. Write Labels "
            '({"5": "C5"}) into its sidecar, or number them 1 to 8.'
        )
    return found


def _number(name: str) -> int | None:
    plain = name.strip().upper().removeprefix("VERTEBRA").strip(" _-")
    if plain == "T1":
        return _FIRST_THORACIC
    return int(plain[1:]) if re.fullmatch("C[0-9]{1,2}", plain) else None


def propose(
    stack: Stack, wanted: Sequence[Injection], mask: np.ndarray, vertebrae: Mapping[int, float]
) -> list[Roi]:
    """Propose slice and box of injections.

    The nerve Cn leaves between the vertebrae n − 1 and n (C8: above T1). Of the slices near the
    middle between them, the one is taken on which what is bright in the outer part of the box is
    narrowest from back to front, among those where it is bright along most of the way (a foramen,
    and no pedicle); where it is on none, as where the cord's fluid outshines all, the nearest to
    the middle.

    Parameters
    ----------
    stack
        The image.
    wanted
        Injections that have no box.
    mask
        Of the cord, on the voxels of `stack`.
    vertebrae
        Number to place, of `read_vertebrae`.

    Returns
    -------
    list of Roi
        With the status ``proposed``; none of an injection whose vertebrae or cord are not there.
    """
    found = []
    for injection in wanted:
        below = int(injection.level[1:])
        if not {below - 1, below} <= vertebrae.keys():
            continue
        between = (vertebrae[below - 1] + vertebrae[below]) / 2
        near = [k for k in range(stack.slices) if abs(k - between) * stack.spacing <= NEAR_MM]
        near = near or [int(np.clip(round(between), 0, stack.slices - 1))]
        tried = [_tried(stack, injection, index, mask) for index in near]
        slices = [one for one in tried if one is not None]
        # where hardly anything is bright outside the canal, no width is to be had: the middle
        clear = [one for one in slices if one.open >= OPEN]
        if clear:
            best = min(clear, key=lambda one: (one.width_mm, abs(one.roi.slice - between)))
            found.append(best.roi)
        elif slices:
            found.append(min(slices, key=lambda one: abs(one.roi.slice - between)).roi)
    return found


@dataclass(frozen=True)
class _Tried:
    """The box on one slice: how wide what is bright there is, and along which share of the way."""

    roi: Roi
    width_mm: float
    open: float


def _tried(stack: Stack, injection: Injection, index: int, mask: np.ndarray) -> _Tried | None:
    cord = cord_at(stack, index, mask)
    box = box_beside(stack, index, injection.side, mask)
    if cord is None or box is None:
        return None
    roi = Roi(injection, index, stack.in_file(box), "the cord's mask", status=PROPOSED)
    try:
        region = make_region(stack, roi, Midline(cord.middle[0], "cord"))
    except BadData:
        return None  # the cord lies at the edge of the image
    cells = np.linalg.norm(region.space.affine[:3, :2], axis=0)
    measured = handcrafted_features(region.picture / LARGEST, (float(cells[0]), float(cells[1])))
    return _Tried(roi, measured["width_median"], measured["open"])
