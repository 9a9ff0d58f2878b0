"""Zero level and unit of an image, found from its own voxels, so that no step hangs on them."""

from dataclasses import dataclass, field

import numpy as np

from bidsapp.errors import BadData

_SAMPLE = 2_000_000  # voxels that percentiles are taken from
_ENDS = (0.5, 99.5)  # percentiles between which the tissue lies, whatever a few voxels do
# Shares of the span between them.
_NEAR = 0.02  # what lies so near to a level is at it
_GAP = 0.25  # a value beyond the tissue by more was put there and not measured
_AIR = 0.1  # so far above the low end there is only air
_NO_AIR = 0.5  # so far above 0 an image without air may start, and 0 still be its zero
# Shares of the faces of the volume, and of voxels.
_ON_FACES = 0.01
_MOST_OF_FACES = 0.5
_WHITE_ON_FACES = 0.1
_MUCH_AIR = 0.4
_SOME_AIR = 0.2
_MANY_BELOW = 0.05
# The registration's correlation takes windows that vary by less than .1 for constant; images in
# these units, between ordinary bytes and 20 bits, are left as they are.
_USUAL = (16.0, 2.0**20)
_BITS = 10
_FARTHEST = 2.0**60
# Overflow: the most voxels that are negative, and the fewest of the neighbours across a change of
# sign that adding 2^16 brings nearer to each other.
_MOST_WRAPPED = 0.25
_WRAPPED = 0.2
# So much of a brain may hold no number and be filled from its neighbours.
_MOST_HOLES = 0.001


@dataclass
class Levelled:
    """An image whose air is 0 and whose tissue spans a usual number of units.

    Attributes
    ----------
    data
        (x, y, z) float32, finite; the file's values, less `offset`, times `factor`. What was no
        measurement is 0 where it is connected to the edge, else the value nearest to it.
    offset, factor
        The image's own zero, in the file's unit, and a power of two; 0 and 1 where the image was
        left as it is.
    outside
        (x, y, z) bool: what was not measured and is connected to the edge; None where all was.
    holes
        (x, y, z) bool: voxels amidst the others that held no number; None where there are none.
    notes
        What was done, a sentence each.
    doubts
        Those of them that make the result doubtful.
    """

    data: np.ndarray
    offset: float = 0.0
    factor: float = 1.0
    outside: np.ndarray | None = None
    holes: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def level(values: np.ndarray, *, slope: float = 1.0, intercept: float = 0.0) -> Levelled:
    """Give an image the zero and the unit that all steps after it count on.

    The zero is the level of the air; where there is none, the background that was laid around the
    brain; where that is no low value either, 0 if it lies just below the tissue, and else the
    lowest of the tissue. An image that starts at 0 and comes in a usual unit is not changed.

    Parameters
    ----------
    values
        (x, y, z), as the file means them; NaN and infinite values count as missing.
    slope, intercept
        By which integers in the file became `values`; where there are none, 1 and 0.

    Returns
    -------
    Levelled

    Raises
    ------
    ValueError
        No voxel holds a number, or all hold the same.
    """
    notes: list[str] = []
    finite = np.isfinite(values)
    missing = None if finite.all() else ~finite
    known = values if missing is None else values[finite]
    if not known.size:
        raise ValueError("holds no finite number in any voxel")
    if known.min() == known.max():
        raise ValueError(f"is constant: every voxel is {known.flat[0]:g}")
    values, doubts = _unwrapped(values, slope, intercept)
    fills = _fills(values)
    for value in fills:
        notes.append(
            f"{np.count_nonzero(values == value) / values.size:.0%} of the voxels are {value:g}, "
            "which lies apart from the rest and was taken as background."
        )
    sample = _sampled(values)
    low, span = _low_and_span(values, sample[~np.isin(sample, fills)])
    factor = 1.0
    if not _USUAL[0] <= span <= _USUAL[1]:
        factor = float(2.0 ** (_BITS - int(np.ceil(np.log2(span)))))
    if low:
        notes.append(f"The image's zero lies at {low:.6g} of its own unit; that was subtracted.")
    background = np.isin(values, fills) if fills else None
    if low or factor != 1:
        values = (values.astype(np.float64) - low) * factor
    if values.dtype == np.float64:  # of which float32 does not hold every value
        values = np.clip(values, -_FARTHEST, _FARTHEST)
    data = values.astype(np.float32)
    found = Levelled(data, low, factor, background, None, doubts + notes, doubts)
    if background is not None:
        found.data[background] = 0
    if missing is not None:
        _fill(found, missing)
    return found


def require_measured(lost: int, brain: int, where: str = "") -> None:
    """Refuse a brain of which more than a thousandth holds no number.

    Parameters
    ----------
    lost, brain
        Voxels of the brain without a number, and all of them.
    where
        What the message begins with.

    Raises
    ------
    BadData
    """
    if lost > _MOST_HOLES * brain:
        raise BadData(
            f"{where}{lost} of {brain} voxels of the brain are NaN or infinite; convert the image "
            "again, or repair it."
        )


def _sampled(values: np.ndarray) -> np.ndarray:
    """Finite voxels, evenly spaced, enough for percentiles; float64."""
    some = values.ravel()[:: (values.size // _SAMPLE) | 1].astype(np.float64)
    return some[np.isfinite(some)]


def _ends(sample: np.ndarray) -> tuple[float, float]:
    """Low and high end of the tissue; of an image that is nearly empty, those of all."""
    low, high = np.percentile(sample, _ENDS)
    return (low, high) if high > low else (float(sample.min()), float(sample.max()))


def _faces(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values on the six faces of the volume, ascending, and the share of the faces that each has.

    Both are empty where no voxel there holds a number.
    """
    # `take` would copy the whole volume for each face where it is not in C order
    faces = [np.moveaxis(values, axis, 0)[end].ravel() for axis in range(3) for end in (0, -1)]
    border = np.concatenate(faces)
    found, counts = np.unique(border[np.isfinite(border)], return_counts=True)
    return found, counts / max(int(counts.sum()), 1)


def _fills(values: np.ndarray) -> list[float]:
    """Values that were put in where nothing was measured: -32768, -2000, or 0 amidst the tissue.

    Each fills a good part of the faces of the volume, as what was measured does not. It lies far
    below the rest, or above it; or it is the background of a brain whose own values lie on both
    sides of it. A 0 that lies below all else is none: that is the image's zero.
    """
    found, share = _faces(values)
    left = _sampled(values)
    fills = []
    for value in found[share >= _ON_FACES]:
        rest = left[left > value]
        if value == 0 or value > left.min() or not rest.size:
            break
        low, high = _ends(rest)
        gap, span = low - value, high - low
        much_air = np.mean(rest < low + _AIR * span) >= _MUCH_AIR
        if span <= 0 or gap <= _GAP * span or not (gap > span or much_air):
            break
        fills.append(float(value))
        left = rest
    for value in found[share >= _WHITE_ON_FACES][::-1]:
        rest = left[left < value]
        if value < left.max() or not rest.size:
            break
        low, high = _ends(rest)
        if high <= low or value <= high + _GAP * (high - low):
            break
        fills.append(float(value))
        left = rest
    value = _laid_around(found, share, fills)
    if value is not None and _below(left, value) >= _MANY_BELOW:
        fills.append(value)
    return fills


def _laid_around(found: np.ndarray, share: np.ndarray, fills: list[float]) -> float | None:
    """Give the value of most of the faces, apart from fills; None where there is none."""
    left = ~np.isin(found, fills)
    if not left.any() or share[left].max() < _MOST_OF_FACES * share[left].sum():
        return None
    return float(found[left][share[left].argmax()])


def _below(sample: np.ndarray, value: float) -> float:
    """Share of the other voxels that lie clearly below a value."""
    rest = sample[sample != value]
    if not rest.size:
        return 0.0
    low, high = _ends(rest)
    return float(np.mean(rest < value - _NEAR * (high - low)))


def _low_and_span(values: np.ndarray, sample: np.ndarray) -> tuple[float, float]:
    """Level of the air, and how far the tissue reaches above it.

    Parameters
    ----------
    values
        The image.
    sample
        Voxels of it that are no fill.
    """
    low, high = _ends(sample)
    near = _NEAR * (high - low)
    found, share = _faces(values)
    inside = np.isin(found, sample)
    around = _laid_around(found[inside], share[inside], [])
    if around is not None and around < low + _AIR * (high - low):
        low = around  # a few voxels may ring below it
    elif low - sample.min() <= near:
        low = float(sample.min())
    air = np.mean(sample < low + _AIR * (high - low)) >= _SOME_AIR
    if abs(low) <= near or (not air and 0 < low <= _NO_AIR * (high - low)):
        low = 0.0
    return float(low), float(high - low)


def _fill(found: Levelled, missing: np.ndarray) -> None:
    """Put 0 where missing voxels are connected to the edge, the nearest value where they are not.

    Whether the holes matter is known when the brain is; see `bidsapp.modalities.t1w.steps`.
    """
    from scipy import ndimage

    edge = np.ones(missing.shape, dtype=bool)
    edge[1:-1, 1:-1, 1:-1] = False
    outer = ndimage.binary_propagation(edge & missing, mask=missing)
    holes = missing & ~outer
    if outer.any():
        found.data[outer] = 0
        found.outside = outer if found.outside is None else outer | found.outside
        found.notes.append(
            f"{np.count_nonzero(outer)} of {outer.size} voxels, connected to the edge, were NaN or "
            "infinite and were taken as background."
        )
    if holes.any():
        nearest = ndimage.distance_transform_edt(holes, return_distances=False, return_indices=True)
        found.data, found.holes = found.data[tuple(nearest)], holes
        found.notes.append(
            f"{np.count_nonzero(holes)} of {holes.size} voxels inside were NaN or infinite and "
            "took the value nearest to them."
        )


def _unwrapped(values: np.ndarray, slope: float, intercept: float) -> tuple[np.ndarray, list[str]]:
    """Undo the overflow of 16-bit integers, by which the brightest voxels become negative.

    A voxel that overflowed lies beside bright ones, so that adding 2^16 brings the two nearer;
    what is negative by right lies beside what is dark.
    """
    stored = (values - intercept) / slope if (slope, intercept) != (1, 0) else values
    with np.errstate(invalid="ignore"):
        low, high = np.nanmin(stored), np.nanmax(stored)
        if not -(2**15) - 0.5 <= low < -(2**14) or not 2**14 < high < 2**15:
            return values, []
        negative = stored < 0
        if np.count_nonzero(negative) > _MOST_WRAPPED * values.size:
            return values, []
        nearer = pairs = 0
        for axis in range(3):
            one, other = (
                np.moveaxis(stored, axis, 0)[part].astype(np.float64)
                for part in (slice(None, -1), slice(1, None))
            )
            below, above = np.minimum(one, other), np.maximum(one, other)
            across = (below < 0) & (above >= 0)
            jump, unwrapped = above - below, np.abs(below + 2**16 - above)
            nearer += int(np.count_nonzero(across & (2 * unwrapped < jump)))
            pairs += int(np.count_nonzero(across))
    if nearer < _WRAPPED * pairs or not pairs:
        return values, []
    repaired = np.where(negative, values + slope * 2**16, values)
    return repaired, [
        f"{np.count_nonzero(negative)} of {values.size} voxels are negative beside the brightest: "
        "they had passed the largest number of 16 bits (32767), and 65536 was added to them. "
        "Convert the image again with more bits or a scale factor."
    ]
