"""Whether the region of an injection can be used: what is measured of slice and region."""

from typing import Any

import numpy as np

from bidsapp.contracts.measure import judged
from bidsapp.modalities.spine.measures import MEASURES
from bidsapp.modalities.spine.midline import Midline
from bidsapp.modalities.spine.region import Region
from bidsapp.modalities.spine.roi_table import Roi
from bidsapp.modalities.spine.stack import Plane, Stack

# Air is darker than this share of bright tissue; less air than this share of the slice tells
# nothing.
_AIR, _LEAST_AIR = 0.15, 0.03
_LEAST_STRIP_MM2 = 100.0
_LEAST_WIDTH_MM = 100.0  # narrower fields of view lie inside the neck


def judge_region(stack: Stack, roi: Roi, midline: Midline, region: Region) -> dict[str, Any]:
    """Measure slice and region, and say whether they can be used.

    Returns
    -------
    dict
        The keys of `MEASURES`, ``verdict`` and ``reasons``.
    """
    sizes = stack.plane(roi.slice).sizes
    box = region.region
    block: dict[str, Any] = {
        "pixel_mm": round(float(sizes.max()), 3),
        "slice_mm": round(float(np.linalg.norm(region.slice.affine[:3, 2])), 2),
        "region_mm": [
            round(float(n * s), 1) for n, s in zip(box.values.shape, box.sizes, strict=True)
        ],
        "edge_mm": round(edge_distance(region), 1),
        "cut_share": round(region.cut_share, 3),
        "contrast": round(contrast(box.values), 3),
        "blur_mm": round(blur_mm(box), 2),
        "ghosting": None if (found := ghosting(region.slice)) is None else round(found, 4),
        "symmetry": None if midline.likeness is None else round(midline.likeness, 3),
        "midline_mm": disagreement(midline),
    }
    verdict, reasons = judged(MEASURES, block, doubts(stack, midline))
    return block | {"verdict": verdict, "reasons": list(reasons)}


def doubts(stack: Stack, midline: Midline) -> list[str]:
    """Sentences that keep a verdict from ``pass``, whatever the numbers say."""
    found = [note for note in stack.notes if "NaN" in note]
    if midline.how == "centre":
        found.append(
            "The midline is the centre of the field of view: there is no mask of the cord, and the "
            "slice is not symmetric enough to show it."
        )
    return found


def disagreement(midline: Midline) -> float | None:
    """How far cord and symmetry put the midline apart, in mm; None where only one is there."""
    other = midline.others.get("symmetry" if midline.how == "cord" else "cord")
    return None if other is None or midline.how == "centre" else round(abs(float(other)), 2)


def edge_distance(region: Region) -> float:
    """Millimetres from the region to the nearest edge of the field of view."""
    x0, x1, y0, y1 = region.box
    width, depth = region.slice.values.shape
    pixels = min(x0, width - 1 - x1, y0, depth - 1 - y1)
    return float(pixels * region.slice.sizes.min())


def contrast(values: np.ndarray) -> float:
    """Difference of bright and dark over their sum (Michelson), of percentiles 95 and 5."""
    low, high = np.percentile(values, (5, 95))
    return float((high - low) / (high + low)) if high + low > 0 else 0.0


def blur_mm(plane: Plane) -> float:
    """Width in mm of the sharpest edges: the range of intensities over their steepest slopes.

    Range and slopes are percentiles (5 to 95, and 98), so that single pixels do not count.
    """
    low, high = np.percentile(plane.values, (5, 95))
    slopes = np.hypot(*np.gradient(plane.values.astype(float), *plane.sizes))
    steepest = float(np.percentile(slopes, 98))
    return float(high - low) / steepest if steepest > 0 else float("inf")


def ghosting(plane: Plane) -> float | None:
    """Ghost-to-signal ratio: how much brighter air is before and behind the neck than beside it.

    Ghosts of a moving or pulsating neck are repeated along the direction of phase encoding only
    (the larger of both ways round is given). Source: the ghosting ratio of the ACR phantom test.

    Returns
    -------
    float or None
        Relative to the mean of the neck; None where too little air is seen on either side.
    """
    from scipy.ndimage import binary_fill_holes

    values = plane.values.astype(float)
    top = float(np.percentile(values, 98))
    body = binary_fill_holes(values > _AIR * top)
    wide = values.shape[0] * plane.sizes[0] >= _LEAST_WIDTH_MM
    if not wide or 1 - body.mean() < _LEAST_AIR or not body.any():
        return None
    columns = body.mean(axis=1) > 0.2
    rows = body.mean(axis=0) > 0.2
    ahead = ~body & columns[:, None] & ~rows[None, :]
    beside = ~body & ~columns[:, None] & rows[None, :]
    if min(ahead.sum(), beside.sum()) * np.prod(plane.sizes) < _LEAST_STRIP_MM2:
        return None
    return float(abs(values[ahead].mean() - values[beside].mean()) / values[body].mean())
